"""Slow encoder-decoders of recurrent layers, written from the papers' equations.

Seq2seq (Sutskever et al. 2014), RNNsearch (Bahdanau et al. 2015, sections 3.1, 3.2 and A.2, with
the reset after the product) and Luong et al. 2015 (sections 3.1 to 3.3). Nothing of hornbook is
used: a token is one float64 vector, and rows, steps, layers and places are loops. A row is as long
as it is, so padding cannot be met. Weights come by our names, as float64 tensors; where they ask
for gradients, autograd goes through the loops.
"""

from typing import NamedTuple

import torch


class Written(NamedTuple):
    """What one row gives: vectors by layer and place, the encoder's and the decoder's; the scores
    of tokens by place; by place of the target, how much of each place of the source was read."""

    source_states: list
    states: list
    logits: list
    shares: list


def same(x):
    return x


def sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def tanh(x):
    return 1 - 2 / (torch.exp(2 * x) + 1)


def gates(weights, name, end, x, h):
    """(of the input, of the state), a list of one vector a gate each."""
    of_input = weights[f"{name}.weight_ih_{end}"] @ x + weights[f"{name}.bias_ih_{end}"]
    of_state = weights[f"{name}.weight_hh_{end}"] @ h + weights[f"{name}.bias_hh_{end}"]
    n = len(h)
    cut = [slice(start, start + n) for start in range(0, len(of_input), n)]
    return [of_input[part] for part in cut], [of_state[part] for part in cut]


def rnn(weights, name, end, x, state):
    (own,), (old,) = gates(weights, name, end, x, state[0])
    return (tanh(own + old),)


def lstm(weights, name, end, x, state):
    """Gates in the order i, f, g, o."""
    h, c = state
    own, old = gates(weights, name, end, x, h)
    i, f, g, o = (a + b for a, b in zip(own, old, strict=True))
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def gru(weights, name, end, x, state):
    """Gates in the order r, z, n."""
    (h,) = state
    (ri, zi, ni), (rh, zh, nh) = gates(weights, name, end, x, h)
    z = sigmoid(zi + zh)
    return ((1 - z) * tanh(ni + sigmoid(ri + rh) * nh) + z * h,)


CELLS = {"rnn": rnn, "lstm": lstm, "gru": gru}


def zeros(weights, kind, name, end="l0"):
    """The state before the first token."""
    width = weights[f"{name}.weight_hh_{end}"].shape[1]
    zero = torch.zeros(width, dtype=torch.float64)
    return (zero, zero) if kind == "lstm" else (zero,)


def through(weights, kind, name, vectors, state=None, end="l0"):
    """(h after each vector, the last state) of one cell."""
    state = zeros(weights, kind, name, end) if state is None else state
    made = []
    for x in vectors:
        state = CELLS[kind](weights, name, end, x, state)
        made.append(state[0])
    return made, state


def layers(weights, kind, stack, vectors, n_layers, begun=None, enter=same):
    """(vectors after each layer, last states) of cells one above another."""
    states, last = [vectors], []
    for layer in range(n_layers):
        given = [enter(x) for x in states[-1]]
        first = begun[layer] if begun else None
        made, end = through(weights, kind, f"{stack}.blocks.{layer}.cell", given, first)
        states.append(made)
        last.append(end)
    return states, last


def embedded(weights, ids):
    return [weights["embedding.tokens.weight"][token] for token in ids]


def scored(weights, vectors):
    return [weights["head.weight"] @ x for x in vectors]


def seq2seq(weights, kind, source, target, n_layers, reverse, enter=same, leave=same):
    """The decoder's layer l begins with the last state of the encoder's layer l."""
    read = [source[len(source) - 1 - i] for i in range(len(source))] if reverse else source
    of_source, last = layers(
        weights, kind, "encoder", embedded(weights, read), n_layers, None, enter
    )
    states, _ = layers(weights, kind, "decoder", embedded(weights, target), n_layers, last, enter)
    states[-1] = [leave(x) for x in states[-1]]
    return Written(of_source, states, scored(weights, states[-1]), [])


def shares_of(scores):
    """softmax."""
    largest = max(score.item() for score in scores)
    powers = [torch.exp(score - largest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def mixed(shares, vectors):
    return sum(share * x for share, x in zip(shares, vectors, strict=True))


def concat(weights, name, s, h):
    """v · tanh(W s + U h)."""
    inner = weights[f"{name}.state.weight"] @ s + weights[f"{name}.source.weight"] @ h
    return (weights[f"{name}.score.weight"][0] * tanh(inner)).sum()


SCORES = {
    "dot": lambda weights, name, s, h: (s * h).sum(),
    "general": lambda weights, name, s, h: (s * (weights[f"{name}.source.weight"] @ h)).sum(),
    "concat": concat,
}


def bahdanau(weights, source, target, enter=same, leave=same):
    """enter: what happens to embeddings, leave: to what goes to the output layer."""
    block, cell = "decoder.blocks.0", "encoder.blocks.0.cell"
    vectors = [enter(x) for x in embedded(weights, source)]
    forward, _ = through(weights, "gru", cell, vectors)
    backward, _ = through(weights, "gru", cell, vectors[::-1], None, "l0_reverse")
    backward = backward[::-1]
    places = [torch.cat(both) for both in zip(forward, backward, strict=True)]
    s = tanh(weights[f"{block}.initial.weight"] @ backward[0] + weights[f"{block}.initial.bias"])
    read = [enter(y) for y in embedded(weights, target)]
    made, shares = [], []
    for y in read:
        a = shares_of([concat(weights, f"{block}.scores", s, h) for h in places])
        c = mixed(a, places)
        (s,) = gru(weights, f"{block}.cell", "l0", torch.cat([y, c]), (s,))
        pairs = weights[f"{block}.readout.weight"] @ torch.cat([s, y, c])
        pairs = pairs + weights[f"{block}.readout.bias"]
        larger = [torch.maximum(pairs[2 * k], pairs[2 * k + 1]) for k in range(len(pairs) // 2)]
        made.append(leave(torch.stack(larger)))
        shares.append(torch.stack(a))
    return Written([vectors, places], [read, made], scored(weights, made), shares)


def luong(weights, kind, source, target, n_layers, score, feeding, window, enter=same, leave=same):
    """window: places to each side of the predicted one; 0 reads all."""
    block = "decoder.blocks.0"
    of_source, states = layers(
        weights, kind, "encoder", embedded(weights, source), n_layers, None, enter
    )
    places, read = of_source[-1], embedded(weights, target)
    fed = torch.zeros(len(states[-1][0]), dtype=torch.float64)
    made, shares = [], []
    for y in read:
        h = torch.cat([y, fed]) if feeding else y
        for layer in range(n_layers):
            name = f"{block}.cells.{layer}"
            states[layer] = CELLS[kind](weights, name, "l0", enter(h), states[layer])
            h = states[layer][0]
        scores = [SCORES[score](weights, f"{block}.scores", h, s) for s in places]
        a = local(weights, f"{block}.place", h, scores, window) if window else shares_of(scores)
        fed = tanh(weights[f"{block}.mix.weight"] @ torch.cat([mixed(a, places), h]))
        made.append(leave(fed))
        shares.append(torch.stack(a))
    return Written(of_source, [read, made], scored(weights, made), shares)


def local(weights, name, h, scores, window):
    """softmax over the places near the predicted one, times a Gaussian of half the window."""
    v = weights[f"{name}.score.weight"][0]
    p = len(scores) * sigmoid((v * tanh(weights[f"{name}.inner.weight"] @ h)).sum())
    near = [j for j in range(len(scores)) if p.item() - window <= j <= p.item() + window]
    found = dict(zip(near, shares_of([scores[j] for j in near]), strict=True))
    sigma = window / 2
    return [
        found[j] * torch.exp(-((j - p) ** 2) / (2 * sigma**2)) if j in found else 0 * scores[j]
        for j in range(len(scores))
    ]

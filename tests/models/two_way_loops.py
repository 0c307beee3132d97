"""A bidirectional LSTM language model as loops over single tokens, which share no code with ours.

Everything is in float64 and takes gradients; weights come by name, as `state_dict` gives them.
"""

import torch


def steps(weights, place, vectors):
    """h_1 .. h_n of one LSTM from zeros: gates in the order input, forget, candidate, output."""
    w, u = weights[f"{place}.weight_ih_l0"], weights[f"{place}.weight_hh_l0"]
    b, c = weights[f"{place}.bias_ih_l0"], weights[f"{place}.bias_hh_l0"]
    n = u.shape[1]
    h, cell = w.new_zeros(n), w.new_zeros(n)
    made = []
    for x in vectors:
        z = torch.mv(w, x) + b + torch.mv(u, h) + c
        write, keep, say = (1 / (1 + torch.exp(-z[k * n : (k + 1) * n])) for k in (0, 1, 3))
        cell = keep * cell + write * torch.tanh(z[2 * n : 3 * n])
        h = say * torch.tanh(cell)
        made.append(h)
    return made


def one_direction(weights, name, n_layers, vectors):
    """The states of every layer, embeddings first; those above the first add what they read."""
    states = [vectors]
    for layer in range(n_layers):
        made = steps(weights, f"{name}.blocks.{layer}.cell", states[-1])
        if layer > 0:
            made = [x + h for x, h in zip(states[-1], made, strict=True)]
        states.append(made)
    return states


def documents_of(labels):
    """Lists of places that are read by themselves: runs of one label, without padding (-1)."""
    found, last = [], -1
    for place, label in enumerate(labels):
        if label >= 0:
            if label != last:
                found.append([])
            found[-1].append(place)
            last = label
    return found


def read(weights, n_layers, tokens, labels):
    """(forward, backward) of one row: by layer a list of states, None where there is padding."""
    table = weights["embedding.tokens.weight"]
    both = [[[None] * len(tokens) for _ in range(n_layers + 1)] for _ in range(2)]
    for places in documents_of(labels):
        for states, name, order in (
            (both[0], "forwards", places),
            (both[1], "backwards", places[::-1]),
        ):
            vectors = [table[tokens[place]] for place in order]
            for layer, made in enumerate(one_direction(weights, name, n_layers, vectors)):
                for place, state in zip(order, made, strict=True):
                    states[layer][place] = state
    return both


def scores(weights, state):
    """log p of every token, by the one output layer."""
    matrix = weights.get("head.weight", weights["embedding.tokens.weight"])
    logits = torch.mv(matrix, state) + weights["head.bias"]
    return logits - torch.log(torch.exp(logits).sum())


def loss(weights, n_layers, rows, documents, parted):
    """(sum of -log p over both directions, how many predictions), padding left out.

    parted: each document is read by itself.
    """
    total, count = 0.0, 0
    for tokens, own in zip(rows, documents, strict=True):
        labels = own if parted else [min(label, 0) for label in own]
        forth, back = read(weights, n_layers, tokens, labels)
        for states, ahead in ((forth, 1), (back, -1)):
            for place in range(len(tokens)):
                target = place + ahead
                inside = 0 <= target < len(tokens)
                if inside and own[place] >= 0 and own[target] >= 0:
                    total = total - scores(weights, states[-1][place])[tokens[target]]
                    count += 1
    return total, count

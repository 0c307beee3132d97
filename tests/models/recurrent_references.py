"""Slow models before the Transformer, as loops over single tokens written from the equations.

Elman 1990; Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000; Cho et al.
2014 with the reset after the product, as in torch; Bengio et al. 2003. Nothing of hornbook is used:
a token is one float64 vector, and rows, tokens, layers and gates are loops. Weights come by our
names; where they ask for gradients, autograd goes through the loops.
"""

import torch

GATES = {"rnn": "h", "lstm": "ifgo", "gru": "rzn"}
"""The gates whose maps stand one below another in a cell's matrices."""


def sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def products(weights, cell, letters, x, h, end=""):
    """By gate: (W x + b, U h + c)."""
    of_x = torch.mv(weights[f"{cell}.weight_ih_l0{end}"], x) + weights[f"{cell}.bias_ih_l0{end}"]
    of_h = torch.mv(weights[f"{cell}.weight_hh_l0{end}"], h) + weights[f"{cell}.bias_hh_l0{end}"]
    n = len(h)
    places = {letter: slice(k * n, (k + 1) * n) for k, letter in enumerate(letters)}
    return {letter: (of_x[place], of_h[place]) for letter, place in places.items()}


def rnn_step(gate, state):
    return (torch.tanh(gate["h"][0] + gate["h"][1]),)


def lstm_step(gate, state):
    write, keep, read = (sigmoid(gate[k][0] + gate[k][1]) for k in "ifo")
    cell = keep * state[1] + write * torch.tanh(gate["g"][0] + gate["g"][1])
    return read * torch.tanh(cell), cell


def gru_step(gate, state):
    reset, keep = (sigmoid(gate[k][0] + gate[k][1]) for k in "rz")
    new = torch.tanh(gate["n"][0] + reset * gate["n"][1])
    return ((1 - keep) * new + keep * state[0],)


STEPS = {"rnn": rnn_step, "lstm": lstm_step, "gru": gru_step}


def read(weights, cell, kind, vectors, end=""):
    """(h_1 .. h_n, the last state) of one cell that begins with zeros."""
    width = weights[f"{cell}.weight_hh_l0{end}"].shape[1]
    state = (vectors[0].new_zeros(width),) * (2 if kind == "lstm" else 1)
    made = []
    for x in vectors:
        gate = products(weights, cell, GATES[kind], x, state[0], end)
        state = STEPS[kind](gate, state)
        made.append(state[0])
    return made, state


def recurrent_row(weights, kind, n_layers, row):
    """(states of every layer, embeddings first; logits; last states by layer) of one row's ids."""
    table = weights["embedding.tokens.weight"]
    matrix, bias = weights.get("head.weight", table), weights["head.bias"]
    states, last = [[table[token] for token in row]], []
    for layer in range(n_layers):
        made, end = read(weights, f"blocks.{layer}.cell", kind, states[-1])
        states.append(made)
        last.append(end)
    return states, [torch.mv(matrix, h) + bias for h in states[-1]], last


def recurrent(weights, kind, n_layers, rows):
    """The same of a batch: [batch, length, width] a layer, [batch, length, vocab], and the last."""
    found = [recurrent_row(weights, kind, n_layers, row) for row in rows]
    states = [
        torch.stack([torch.stack(own[layer]) for own, _, _ in found])
        for layer in range(n_layers + 1)
    ]
    last = [
        [torch.stack([end[layer][part] for _, _, end in found]) for part in range(len(first))]
        for layer, first in enumerate(found[0][2])
    ]
    return states, torch.stack([torch.stack(logits) for _, logits, _ in found]), last


def bengio_row(weights, order, direct, row):
    """(states, logits) of one row.

    y_v = b_v + sum_j W_vj x_j + sum_i U_vi tanh(d_i + sum_j H_ij x_j); x: the vectors of the last
    order - 1 tokens, oldest first; zeros before the beginning.
    """
    table, bias = weights["embedding.tokens.weight"], weights["head.bias"]
    inner, shift = weights["blocks.0.hidden.weight"], weights["blocks.0.hidden.bias"]
    output, width = weights["head.weight"], table.shape[1]
    states, logits = [], []
    for t in range(len(row)):
        x = []
        for back in range(order - 2, -1, -1):
            there = t - back >= 0
            x += [table[row[t - back], j] if there else table.new_zeros(()) for j in range(width)]
        a = []
        for i in range(len(shift)):
            a.append(torch.tanh(shift[i] + sum(inner[i, j] * x[j] for j in range(len(x)))))
        y = []
        for v in range(len(bias)):
            total = bias[v] + sum(output[v, i] * a[i] for i in range(len(a)))
            if direct:
                total = total + sum(output[v, len(a) + j] * x[j] for j in range(len(x)))
            y.append(total)
        states.append(torch.stack([*a, *x] if direct else a))
        logits.append(torch.stack(y))
    return torch.stack(states), torch.stack(logits)


def bengio(weights, order, direct, rows):
    """([embeddings, what the output layer reads], logits) of a batch."""
    found = [bengio_row(weights, order, direct, row) for row in rows]
    table = weights["embedding.tokens.weight"]
    vectors = torch.stack([torch.stack([table[token] for token in row]) for row in rows])
    states = [vectors, torch.stack([own for own, _ in found])]
    return states, torch.stack([logits for _, logits in found])

"""Slow models written from the papers' equations, for what transformers does not have.

GLM (Du et al. 2022), ChatGLM-6B (the released code of 2023) and GPT-3's mixed stack (Brown et al.
2020; Child et al. 2019). Nothing of hornbook is used: a token is one float64 vector, and rows,
heads, queries and keys are loops. Weights come by our names, as float64 tensors; where they ask for
gradients, autograd goes through the loops.

One thing is not float64: the cosines and sines of ChatGLM's rotation are made in float32, as in its
released code, so that 1e-10 is a fair tolerance.
"""

import math

import torch


def layer_norm(x, gain, bias, eps=1e-5):
    """(x - mean) / sqrt(variance + eps) * gain + bias; the variance divides by n."""
    n = len(x)
    mean = sum(x[i] for i in range(n)) / n
    variance = sum((x[i] - mean) ** 2 for i in range(n)) / n
    return torch.stack([(x[i] - mean) / (variance + eps) ** 0.5 for i in range(n)]) * gain + bias


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def normed(weights, name, rows):
    return [layer_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"]) for x in rows]


def mapped(weights, name, rows):
    return [weights[f"{name}.weight"] @ x + weights[f"{name}.bias"] for x in rows]


def feedforward(weights, name, rows):
    inner = [gelu_tanh(x) for x in mapped(weights, f"{name}.up", rows)]
    return mapped(weights, f"{name}.down", inner)


def attention(weights, name, rows, n_heads, d_head, sees, turn=lambda x, place: x):
    """Query i reads the keys j with sees(i, j); scores are divided by sqrt(d_head).

    Rows of the fused map: all queries, head by head, then all keys, then all values.
    """
    width = n_heads * d_head
    fused = mapped(weights, f"{name}.qkv", rows)
    mixed = []
    for i in range(len(rows)):
        heads = []
        for h in range(n_heads):
            own = slice(h * d_head, (h + 1) * d_head)
            query = turn(fused[i][:width][own], i)
            scores, values = [], []
            for j in range(len(rows)):
                if sees(i, j):
                    key = turn(fused[j][width : 2 * width][own], j)
                    scores.append((query * key).sum() / math.sqrt(d_head))
                    values.append(fused[j][2 * width :][own])
            largest = max(score.item() for score in scores)
            powers = [torch.exp(score - largest) for score in scores]
            total = sum(powers)
            heads.append(sum(p / total * value for p, value in zip(powers, values, strict=True)))
        mixed.append(torch.cat(heads))
    return mapped(weights, f"{name}.out", mixed)


def after_prefix(end):
    """The first `end` tokens are seen by all, the rest by themselves and what follows."""
    return lambda i, j: j < end or j <= i


def in_band(width):
    """A query sees itself and width - 1 tokens before it."""
    return lambda i, j: i - width < j <= i


def added(first, second, scale=1.0):
    return [scale * x + y for x, y in zip(first, second, strict=True)]


def pre_norm_block(weights, name, x, n_heads, d_head, sees):
    """x + attention(norm(x)), then the same with the feed-forward."""
    n = normed(weights, f"{name}.attention_norm", x)
    x = added(x, attention(weights, f"{name}.attention", n, n_heads, d_head, sees))
    n = normed(weights, f"{name}.feedforward_norm", x)
    return added(x, feedforward(weights, f"{name}.feedforward", n))


def finished(weights, states):
    """(states, logits): the last state is normed; the token table is the output layer."""
    last = normed(weights, "final_norm", states[-1])
    table = weights["embedding.tokens.weight"]
    return [*states[:-1], last], [table @ x for x in last]


def whole_batch(row_results):
    """Rows of (states, logits) as (states [batch, length, d_model] of every layer, logits)."""
    states = [
        torch.stack([torch.stack(states[layer]) for states, _ in row_results])
        for layer in range(len(row_results[0][0]))
    ]
    return states, torch.stack([torch.stack(logits) for _, logits in row_results])


def glm(weights, ids, positions, separators, n_layers, n_heads, d_head):
    """GLM: ids [batch, length]; positions [2, batch, length]; separators: lengths of part A.

    x = E[token] + P[position] + B[place in the block]; every query sees part A, and what is before.
    """
    tokens, table = weights["embedding.tokens.weight"], weights["embedding.positions.weight"]
    blocks = weights["embedding.positions.block"]
    results = []
    for b in range(len(ids)):
        first, second = positions[0][b], positions[1][b]
        states = [
            [tokens[t] + table[first[i]] + blocks[second[i]] for i, t in enumerate(ids[b].tolist())]
        ]
        for layer in range(n_layers):
            name, sees = f"blocks.{layer}", after_prefix(separators[b])
            states.append(pre_norm_block(weights, name, states[-1], n_heads, d_head, sees))
        results.append(finished(weights, states))
    return whole_batch(results)


def gpt3(weights, ids, banded, band, n_heads, d_head):
    """GPT-3: banded[layer] tells whether a query sees only itself and band - 1 keys before it."""
    tokens, table = weights["embedding.tokens.weight"], weights["embedding.positions.weight"]
    results = []
    for b in range(len(ids)):
        states = [[tokens[t] + table[i] for i, t in enumerate(ids[b].tolist())]]
        for layer, local in enumerate(banded):
            name, sees = f"blocks.{layer}", in_band(band if local else len(ids[b]))
            states.append(pre_norm_block(weights, name, states[-1], n_heads, d_head, sees))
        results.append(finished(weights, states))
    return whole_batch(results)


def chatglm(weights, ids, blanks, start, n_layers, n_heads, d_head):
    """ChatGLM-6B: two rotations a head, and a residual sqrt(2 L) times the normed input.

    The prefix up to `start` is seen by all. Positions are read off the ids.
    """
    tokens, alpha = weights["embedding.tokens.weight"], math.sqrt(2 * n_layers)
    results = []
    for b in range(len(ids)):
        row = ids[b].tolist()
        first, second = one_blank(row, blanks, start)
        cosines, sines = rotations(first, second, d_head)

        def turn(x, i, cosines=cosines, sines=sines):
            return turned(x, cosines[i], sines[i])

        sees = after_prefix(row.index(start))
        states = [[tokens[t] for t in row]]
        for layer in range(n_layers):
            name = f"blocks.{layer}"
            u = normed(weights, f"{name}.attention_norm", states[-1])
            read = attention(weights, f"{name}.attention", u, n_heads, d_head, sees, turn)
            w = normed(weights, f"{name}.feedforward_norm", added(u, read, alpha))
            states.append(added(w, feedforward(weights, f"{name}.feedforward", w), alpha))
        results.append(finished(weights, states))
    return whole_batch(results)


def rotations(first, second, d_head):
    """Cosines and sines [length, 2, d_head / 4]: by position and by place in the block.

    Inverse frequencies 10000^(-2i / (d_head / 2)) are rounded to half precision, angles and their
    cosines to float32.
    """
    width = d_head // 2
    frequencies = torch.tensor([10_000.0 ** (-2 * i / width) for i in range(width // 2)])
    frequencies = frequencies.half().float()
    places = torch.tensor([first, second], dtype=torch.float32).T
    angles = places[:, :, None] * frequencies
    return angles.cos().double(), angles.sin().double()


def turned(x, cosines, sines):
    """Each half of a head turns by itself; number i pairs with the one half of that half on."""
    half, quarter = len(x) // 2, len(x) // 4
    out = [None] * len(x)
    for part in range(2):
        for i in range(quarter):
            p, q = part * half + i, part * half + quarter + i
            cos, sin = cosines[part][i], sines[part][i]
            out[p] = x[p] * cos - x[q] * sin
            out[q] = x[q] * cos + x[p] * sin
    return torch.stack(out)


def one_blank(row, blanks, start):
    """(positions, places in the block) of one row that goes on after one blank.

    Before `start` they are (i, 0); from there on (where the blank first stands, 1, 2, ...). The
    blank is the first of `blanks` that stands before `start`. (The released code also looks after
    it, so that a later token could move earlier ones.)
    """
    context = row.index(start)
    blank = row.index(next(token for token in blanks if token in row[:context]))
    first = [i if i < context else blank for i in range(len(row))]
    second = [0 if i < context else i - context + 1 for i in range(len(row))]
    return first, second


def blank_infilling(text, spans, order, mask, start, end):
    """GLM's input: (ids, targets, positions, places in the block, length of part A).

    spans: (first, end) places in the text, from left to right, which [MASK]s replace in part A.
    order: in which the spans follow in part B, each after `start`, each predicted up to `end`.
    """
    part_a, blanks, at = [], [], 0
    for begin, stop in spans:
        part_a += text[at:begin]
        blanks.append(len(part_a))
        part_a.append(mask)
        at = stop
    part_a += text[at:]
    ids, targets = list(part_a), [-100] * len(part_a)
    first, second = list(range(len(part_a))), [0] * len(part_a)
    for number in order:
        span = text[spans[number][0] : spans[number][1]]
        ids += [start, *span]
        targets += [*span, end]
        first += [blanks[number]] * (len(span) + 1)
        second += list(range(1, len(span) + 2))
    return ids, targets, first, second, len(part_a)

"""Three ways to train a GPT-2 on the same tokens from the same weights, each in its best form.

    ours           hornbook's own update, as the training loop calls it
    transformers   GPT2LMHeadModel: sdpa, use_cache=False, fused AdamW, autocast in bf16
    plain          a GPT of nanoGPT's kind: flash sdpa, F.cross_entropy on whole logits, fused
                   AdamW, autocast in bf16, vocabulary padded to 64; `compiled` is the same under
                   torch.compile

All clip to 1, decay matrices and embeddings by 0.1, and take the same batches in the same order.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hornbook.batches.batch import Batch, assemble
from hornbook.checkpoints.hf import write_hf
from hornbook.models.build import build_network
from hornbook.models.families import spec_for
from hornbook.models.spec import Spec
from hornbook.objectives.causal import Causal
from hornbook.optimizers.adamw import AdamW
from hornbook.training.guard import Guard
from hornbook.training.precision import Masters
from hornbook.training.step import seed_step, update

RATE, BETAS, DECAY, CLIP = 1e-4, (0.9, 0.95), 0.1, 1.0
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
BATCHES = 4


@dataclass(frozen=True)
class Shape:
    """A model and its batch; d_head is 64 but in S, where it is 32."""

    n_layers: int
    d_model: int
    n_heads: int
    vocab_size: int
    length: int
    rows: int

    def spec(self) -> Spec:
        return spec_for(
            "gpt2",
            n_layers=self.n_layers,
            d_model=self.d_model,
            n_heads=self.n_heads,
            vocab_size=self.vocab_size,
            max_length=self.length,
            dropout=0.0,
        )


Step = Callable[[int], Tensor | float]


def batches(shape: Shape, device: str) -> list[Batch]:
    """Random tokens, the same for all."""
    draw = np.random.default_rng(0)
    made = []
    for _ in range(BATCHES):
        tokens = draw.integers(0, shape.vocab_size, (shape.rows, shape.length + 1))
        arrays = {"tokens": tokens[:, :-1], "targets": tokens[:, 1:].copy()}
        made.append(assemble(arrays, "causal", np.ones(shape.vocab_size, np.int64)).to(device))
    return made


def ours(shape: Shape, precision: str, device: str) -> Step:
    network = build_network(shape.spec(), seed=0).to(device)
    masters = Masters(network, DTYPES[precision], DECAY)
    optimizer = AdamW(masters.groups, beta1=BETAS[0], beta2=BETAS[1])
    objective, guard, data = Causal(), Guard(), batches(shape, device)

    def step(number: int) -> float:
        seed_step(0, number)
        return update(
            network,
            objective,
            data[number % BATCHES],
            masters,
            optimizer,
            micro_batch_size=0,
            learning_rate=RATE,
            clip_norm=CLIP,
            examine=guard.examine,
        ).loss

    return step


def transformers(shape: Shape, precision: str, device: str) -> Step:
    from transformers import GPT2LMHeadModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    network = build_network(shape.spec(), seed=0)
    with tempfile.TemporaryDirectory() as folder:
        write_hf(folder, network.spec, dict(network.state_dict()))
        model = GPT2LMHeadModel.from_pretrained(
            folder, attn_implementation="sdpa", dtype=torch.float32
        )
    model.to(device).train()

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return model(x, labels=y, shift_labels=y, use_cache=False).loss

    return _usual_step(model, loss_of, shape, precision, device)


def plain(shape: Shape, precision: str, device: str) -> Step:
    model = _plain_model(shape, device)
    return _usual_step(model, model, shape, precision, device)


def compiled(shape: Shape, precision: str, device: str) -> Step:
    model = _plain_model(shape, device)
    return _usual_step(model, torch.compile(model), shape, precision, device)


CONTESTANTS = {"ours": ours, "transformers": transformers, "plain": plain, "compiled": compiled}


def _usual_step(
    model: nn.Module,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    shape: Shape,
    precision: str,
    device: str,
) -> Step:
    """The step as tutorials write it: autocast, clip_grad_norm_, fused AdamW, grads set to None."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": DECAY},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS, fused=True)
    data, low = batches(shape, device), precision == "bf16"

    def step(number: int) -> Tensor:
        batch = data[number % BATCHES]
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=low):
            loss = loss_of(batch.tokens, batch.targets)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    return step


class PlainBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.feedforward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        split = self.qkv(self.attention_norm(x)).split(width, dim=2)
        q, k, v = (
            part.view(rows, length, self.heads, width // self.heads).transpose(1, 2)
            for part in split
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).contiguous().view(rows, length, width))
        y = F.gelu(self.up(self.feedforward_norm(x)), approximate="tanh")
        return x + self.down(y)


class PlainGPT(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.d_model
        self.tokens = nn.Embedding(-(-shape.vocab_size // 64) * 64, width)
        self.positions = nn.Embedding(shape.length, width)
        self.blocks = nn.ModuleList(PlainBlock(width, shape.n_heads) for _ in range(shape.n_layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = self.tokens(x) + self.positions(torch.arange(x.shape[1], device=x.device))
        for block in self.blocks:
            h = block(h)
        logits = F.linear(self.norm(h), self.tokens.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), y.reshape(-1))


def _plain_model(shape: Shape, device: str) -> PlainGPT:
    """The plain GPT with our fresh weights."""
    model = PlainGPT(shape)
    names = {
        "embedding.tokens": "tokens",
        "embedding.positions": "positions",
        "final_norm": "norm",
        "attention.qkv": "qkv",
        "attention.out": "out",
        "feedforward.up": "up",
        "feedforward.down": "down",
    }
    weights = {}
    for name, tensor in build_network(shape.spec(), seed=0).state_dict().items():
        for old, new in names.items():
            name = name.replace(f"{old}.", f"{new}.")
        weights[name] = tensor
    model.load_state_dict(weights)
    return model.to(device).train()

"""fp32 masters in one flat buffer, and the bf16 weights that a network computes with.

Layout of the flat buffer, every parameter on a 64-byte boundary, gaps zero:

    [ decayed: low | exact ][ not decayed: low | exact ]

"Low" are the parameters of modules marked `computes_low`, when the precision is low: the network's
own tensors become views of a bf16 shadow, refreshed after each update, and their gradients views of
a bf16 buffer, added up in fp32 after each micro-batch. "Exact" are all others: the network's
tensors and gradients are views of the fp32 buffers themselves. One flat gradient makes clipping one
norm, and the optimiser one pass a group.

Gradients to zero rows (vocabulary padding) are zero, so they stay zero: decay of zero is zero.

Source: Micikevicius et al. 2018, section 3.1 (an fp32 master copy of weights).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hornbook.errors import TrainingError
from hornbook.optimizers.groups import Group, Place, decays

ALIGNMENT = 32  # numbers: 64 bytes in bf16, 128 in fp32
NORM_ROW = 1024


class Masters:
    """Takes over a network's trainable parameters: they become views of flat buffers.

    Args:
        network: its parameters are fp32, on the device they train on.
        dtype: what modules marked `computes_low` compute in; float32 leaves them exact.
        weight_decay: of the parameters that `optimizers.groups.decays` names.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype, weight_decay: float) -> None:
        parameters = {n: p for n, p in network.named_parameters() if p.requires_grad}
        if not parameters:
            raise TrainingError("This network has no parameter to train; unfreeze some.")
        low = low_parameters(network) if dtype != torch.float32 else frozenset()
        decayed = decays(network)
        device = next(iter(parameters.values())).device
        blocks = [
            [n for n in parameters if decayed[n] is decay and (n in low) is is_low]
            for decay in (True, False)
            for is_low in (True, False)
        ]
        places, ends = _lay_out(blocks, parameters)
        size = -(-ends[-1] // NORM_ROW) * NORM_ROW
        self.values = torch.zeros(size, device=device)
        self.gradients = torch.zeros(size, device=device)
        self._shadows = [
            _Shadow(self.values[start:end], self.gradients[start:end], dtype)
            for start, end in ((0, ends[0]), (ends[1], ends[2]))
        ]
        self.groups = tuple(
            Group(
                self.values[start:end],
                self.gradients[start:end],
                {n: Place(places[n].start - start, places[n].shape) for n in names},
                decay,
            )
            for start, end, names, decay in (
                (0, ends[1], blocks[0] + blocks[1], weight_decay),
                (ends[1], ends[3], blocks[2] + blocks[3], 0.0),
            )
            if names
        )
        self._parameters = parameters
        self._adopt(places, (ends[0], ends[1]), low)

    def _adopt(
        self, places: Mapping[str, Place], ends: tuple[int, int], low: frozenset[str]
    ) -> None:
        """Copy the weights in, and make the network's parameters views."""
        for name, view in self.weights().items():
            view.copy_(self._parameters[name].detach())
        for name, parameter in self._parameters.items():
            place = places[name]
            values, gradients, offset = self.values, self.gradients, 0
            if name in low:
                shadow, offset = (
                    (self._shadows[0], 0) if place.start < ends[0] else (self._shadows[1], ends[1])
                )
                values, gradients = shadow.values, shadow.gradients
            span = slice(place.start - offset, place.start - offset + place.size)
            parameter.grad = None
            parameter.data = values[span].view(place.shape)
            parameter.grad = gradients[span].view(place.shape)
        self.refresh()

    def hand_back(self) -> None:
        """Give the network its fp32 masters, without gradients: an ordinary network again."""
        for name, view in self.weights().items():
            self._parameters[name].grad = None
            self._parameters[name].data = view

    @torch.no_grad()
    def refresh(self) -> None:
        """Round the masters into the weights that the network computes with."""
        for shadow in self._shadows:
            shadow.values.copy_(shadow.masters)

    @torch.no_grad()
    def collect(self) -> None:
        """Add this micro-batch's low gradients to the flat fp32 gradient."""
        for shadow in self._shadows:
            shadow.master_gradients.add_(shadow.gradients)
            shadow.gradients.zero_()

    @torch.no_grad()
    def clear(self) -> None:
        """Set all gradients to zero; they stay the views they are."""
        self.gradients.zero_()
        for shadow in self._shadows:
            shadow.gradients.zero_()

    @torch.no_grad()
    def clip(self, limit: float) -> float:
        """Shorten the gradient to `limit` (0: never); returns its length before.

        g <- g min(1, limit / ||g||), over all parameters (Pascanu et al. 2013, algorithm 1). A
        length that is not finite is returned and nothing is changed. Squares are added up row by
        row: in one fp32 sum over 124 million numbers, torch's norm is 1.5 % too short.
        """
        rows = torch.linalg.vector_norm(self.gradients.view(-1, NORM_ROW), dim=1)
        length = float(torch.linalg.vector_norm(rows))
        if 0 < limit < length < float("inf"):
            self.gradients.mul_(limit / length)
        return length

    def weights(self) -> dict[str, Tensor]:
        """The fp32 masters by parameter name, as views."""
        return {n: v for group in self.groups for n, v in group.by_name(group.values).items()}

    @torch.no_grad()
    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Set the masters by name.

        Raises:
            TrainingError: names or shapes are not this network's.
        """
        own = self.weights()
        wrong = sorted(own.keys() ^ weights.keys()) or sorted(
            name for name in own if own[name].shape != weights[name].shape
        )
        if wrong:
            raise TrainingError(
                f"The saved weights do not fit this model: {wrong[0]!r} is missing, unknown or of "
                "another shape; train with the model that the checkpoint was made with."
            )
        for name, view in own.items():
            view.copy_(weights[name])
        self.refresh()


class _Shadow:
    """Low weights and gradients of one stretch of the flat buffers."""

    def __init__(self, masters: Tensor, master_gradients: Tensor, dtype: torch.dtype) -> None:
        self.masters = masters
        self.master_gradients = master_gradients
        self.values = torch.zeros_like(masters, dtype=dtype)
        self.gradients = torch.zeros_like(masters, dtype=dtype)


def low_parameters(network: nn.Module) -> frozenset[str]:
    """Names of the parameters that modules marked `computes_low` own."""
    return frozenset(
        f"{module_name}.{name}" if module_name else name
        for module_name, module in network.named_modules()
        if getattr(module, "computes_low", False)
        for name, _ in module.named_parameters(recurse=False)
    )


def _lay_out(
    blocks: list[list[str]], parameters: Mapping[str, nn.Parameter]
) -> tuple[dict[str, Place], list[int]]:
    """Where each parameter begins, and where each block ends."""
    places: dict[str, Place] = {}
    ends: list[int] = []
    at = 0
    for names in blocks:
        for name in names:
            places[name] = Place(at, tuple(parameters[name].shape))
            at += -(-places[name].size // ALIGNMENT) * ALIGNMENT
        ends.append(at)
    return places, ends

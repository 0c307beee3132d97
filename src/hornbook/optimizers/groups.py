"""Which parameters are treated alike, and how they lie in memory.

Weight decay pulls matrices and embeddings towards zero; gains and biases are left alone (Radford et
al. 2018, section 4.1; BERT). The groups partition the trainable parameters, tied ones counted once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

UNDECAYED_ROLES = ("gain", "bias")


@dataclass(frozen=True)
class Place:
    """Where a parameter lies in its group's flat buffers."""

    start: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it has."""
        size = 1
        for width in self.shape:
            size *= width
        return size


@dataclass(frozen=True, eq=False)
class Group:
    """Parameters that share one weight decay, one behind another in flat buffers.

    values, gradients: [size], fp32; gaps between parameters are zero in both and stay zero.
    """

    values: Tensor
    gradients: Tensor
    places: Mapping[str, Place]
    weight_decay: float

    def by_name(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of a buffer laid out as this group's, by parameter name."""
        return {
            name: flat[place.start : place.start + place.size].view(place.shape)
            for name, place in self.places.items()
        }


def decays(network: nn.Module) -> dict[str, bool]:
    """Trainable parameters by name, tied ones once, and whether weight decay applies to each.

    A module that names the `roles` of its parameters decides by role; elsewhere whatever has two
    axes or more is a matrix.
    """
    modules = dict(network.named_modules())
    chosen: dict[str, bool] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            owner, _, own_name = name.rpartition(".")
            role = getattr(modules[owner], "roles", {}).get(own_name)
            role = role if role is None or isinstance(role, str) else role[0][0]
            chosen[name] = parameter.ndim >= 2 if role is None else role not in UNDECAYED_ROLES
    return chosen

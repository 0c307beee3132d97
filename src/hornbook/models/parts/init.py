"""Fresh weights, drawn by the role of a parameter and keyed by its name."""

import torch
from torch import nn

from hornbook.models.spec import DepthScaledNormal, Normal, Spec
from hornbook.recipe.fingerprint import derive_seed

CONSTANTS = {"gain": 1.0, "bias": 0.0}


def standard_deviation(rule: Normal | DepthScaledNormal, n_layers: int) -> float:
    """The std a rule gives at this depth."""
    return rule.std / (2 * n_layers) ** 0.5 if isinstance(rule, DepthScaledNormal) else rule.std


@torch.no_grad()
def initialise(network: nn.Module, spec: Spec, seed: int) -> None:
    """Fill every parameter in place.

    Gains are 1, biases 0; the other roles follow `spec.initialisation`. Each parameter has a
    generator of its own, keyed by (seed, name), and is drawn in float32 on the CPU: its values
    depend on nothing else, neither on the order of parameters nor on device, dtype or number of
    processes. Rows that pad the vocabulary are zero. Source: Radford et al. 2019, section 2.3.
    """
    for place, module in network.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            role = module.roles[own]
            if role in CONSTANTS:
                parameter.fill_(CONSTANTS[role])
                continue
            std = standard_deviation(getattr(spec.initialisation, role), spec.n_layers)
            key = derive_seed(seed, "initialisation", f"{place}.{own}")
            generator = torch.Generator().manual_seed(key)
            rows = spec.vocab_size if role == "embedding" else len(parameter)
            drawn = torch.empty(rows, *parameter.shape[1:]).normal_(0.0, std, generator=generator)
            parameter.zero_()
            parameter[:rows] = drawn.to(parameter.device)

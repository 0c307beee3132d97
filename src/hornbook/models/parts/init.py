"""Fresh weights, drawn by the role of a parameter and keyed by its name."""

import torch
from torch import Tensor, nn

from hornbook.models.initialisation import TruncatedNormal, Uniform
from hornbook.models.spec import Spec
from hornbook.recipe.fingerprint import derive_seed

CONSTANTS = {"gain": 1.0, "bias": 0.0}


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
            roles = module.roles[own]
            whole = ((roles, len(parameter)),) if isinstance(roles, str) else roles
            if whole[0][0] in CONSTANTS:
                for part, (role, _) in zip(
                    parameter.split([count for _, count in whole]), whole, strict=True
                ):
                    part.fill_(CONSTANTS[role])
                continue
            key = derive_seed(seed, "initialisation", f"{place}.{own}")
            generator = torch.Generator().manual_seed(key)
            tokens = own in getattr(module, "rows_are_tokens", ())
            rows = spec.vocab_size if tokens else len(parameter)
            parameter.zero_()
            whole = ((roles, rows),) if isinstance(roles, str) else roles
            shape = (rows, *parameter.shape[1:])
            drawn = draw(spec, whole, shape, generator)
            parameter[:rows] = drawn.to(parameter.device)


def draw(
    spec: Spec,
    rows: tuple[tuple[str, int], ...],
    shape: tuple[int, ...],
    generator: torch.Generator,
) -> Tensor:
    """One parameter of this shape, whose rows have these roles.

    fan_in is its last width, fan_out the number of rows of one role (for experts, whose first axis
    counts them, the second).
    """
    stacked = len(shape) == 3
    deviations, rules = [], []
    for role, count in rows:
        rule = spec.initialisation.rule(role)
        fan_out = shape[1] if stacked else count
        deviations.append(rule.deviation(spec.n_layers, shape[-1], fan_out))
        rules.append(rule)
    if isinstance(rules[0], Uniform):
        unit = torch.empty(shape).uniform_(-(3**0.5), 3**0.5, generator=generator)
    elif isinstance(rules[0], TruncatedNormal):
        unit = torch.empty(shape)
        nn.init.trunc_normal_(unit, 0.0, 1.0, -2.0, 2.0, generator)
    elif len(set(deviations)) == 1:
        return torch.empty(shape).normal_(0.0, deviations[0], generator=generator)
    else:
        unit = torch.empty(shape).normal_(0.0, 1.0, generator=generator)
    counts = torch.tensor([count for _, count in rows])
    factors = torch.tensor(deviations).repeat_interleave(counts)
    return unit * factors.view(-1, *[1] * (len(shape) - 1))

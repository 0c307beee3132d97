"""From a spec to a network, and the doors for its weights: fresh, filled in, trimmed, converted."""

from collections.abc import Mapping
from importlib import import_module

import torch
from torch import Tensor, nn

from hornbook.errors import StorageError
from hornbook.models.parts.init import initialise
from hornbook.models.parts.linear import Linear
from hornbook.models.spec import Spec
from hornbook.models.stacks import Network

ONE_STACK = "hornbook.models.stacks:SequenceNetwork"
NETWORKS = {
    "RecurrentSourceReading": "hornbook.models.seq2seq:RecurrentEncoderDecoder",
    "SourceReading": "hornbook.models.encoder_decoder:EncoderDecoder",
    "TwoStreamReading": "hornbook.models.two_stream:TwoStreamNetwork",
    "TwoWayReading": "hornbook.models.two_way:TwoWayNetwork",
}
"""The network that reads in each way; all others are one stack over one sequence."""

LOW = (torch.bfloat16, torch.float16)


def build_network(spec: Spec, seed: int = 0, device: str | torch.device = "cpu") -> Network:
    """A network with fresh weights in float32; on the "meta" device, its shapes alone."""
    network = empty_network(spec, device)
    if torch.device(device).type != "meta":
        initialise(network, spec, seed)
    return network


def empty_network(spec: Spec, device: str | torch.device = "cpu") -> Network:
    """A network whose weights are not set yet, for `fill`."""
    module, _, name = NETWORKS.get(type(spec.reading).__name__, ONE_STACK).partition(":")
    with torch.device(device):
        network: Network = getattr(import_module(module), name)(spec)
    return network


def convert(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Change the dtype a network computes in, in place.

    float32 and float64 apply to all of it; bfloat16 and float16 only to what may compute low
    (linear maps and the token table), so that norms and the residual stream stay in float32.
    """
    if dtype not in LOW:
        return network.to(dtype)
    network.to(torch.float32)
    for module in network.modules():
        if getattr(module, "computes_low", False):
            module.to(dtype)
    return network


def token_tables(network: nn.Module) -> set[str]:
    """Names of the parameters with one row a token, whose last rows pad the vocabulary."""
    return {
        f"{place}.{name}"
        for place, module in network.named_modules()
        for name in getattr(module, "rows_are_tokens", ())
        if getattr(module, name) is not None
    }


def rows_of(network: nn.Module) -> dict[str, tuple[tuple[str, int], ...]]:
    """What the rows of each map and of its bias are, (role, how many), by the parameter's name."""
    return {
        f"{place}.{name}": module.rows
        for place, module in network.named_modules()
        if isinstance(module, Linear)
        for name, _ in module.named_parameters()
    }


def trim(network: Network, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """These weights without the rows that pad the vocabulary; views, not copies."""
    tables, rows = token_tables(network), network.spec.vocab_size
    return {name: tensor[:rows] if name in tables else tensor for name, tensor in weights.items()}


@torch.no_grad()
def fill(network: Network, weights: Mapping[str, Tensor]) -> None:
    """Copy weights, named as ours, into the network; dtypes are converted, padding stays zero.

    Token tables may come with or without padded rows. Raises StorageError where a name is missing
    or unknown, or a shape differs.
    """
    parameters = dict(network.named_parameters())
    missing = [name for name in parameters if name not in weights]
    unknown = [name for name in weights if name not in parameters]
    for what, names in (("lack", missing), ("have the unknown", unknown)):
        if names:
            raise StorageError(
                f"The weights {what} {', '.join(names[:5])}; they belong to another model."
            )
    trimmed, places = trim(network, weights), trim(network, parameters)
    for name, place in places.items():
        if trimmed[name].shape != place.shape:
            raise StorageError(
                f"The weights' {name} has shape {list(trimmed[name].shape)}, this model needs "
                f"{list(place.shape)}; they belong to another model."
            )
        place.copy_(trimmed[name])
        parameters[name][len(place) :] = 0

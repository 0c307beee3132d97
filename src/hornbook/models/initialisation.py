"""How fresh weights are drawn, as data: a rule for each role that a parameter may have."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Normal:
    """Draw from N(0, std^2)."""

    std: float

    def deviation(self, n_layers: int, fan_in: int, fan_out: int) -> float:
        """The standard deviation."""
        return self.std


@dataclass(frozen=True)
class TruncatedNormal(Normal):
    """Draw from N(0, std^2), and again what falls beyond 2 std: 0.88 std remain (BERT)."""


@dataclass(frozen=True)
class DepthScaledNormal:
    """Draw from N(0, std^2 / (2 n_layers)): two residual outputs a layer add up to std^2."""

    std: float

    def deviation(self, n_layers: int, fan_in: int, fan_out: int) -> float:
        """The standard deviation at this depth."""
        return self.std / float((2 * n_layers) ** 0.5)


@dataclass(frozen=True)
class FanIn:
    """Draw from N(0, scale^2 / fan_in): outputs are as large as inputs, times `scale`."""

    scale: float = 1.0

    def deviation(self, n_layers: int, fan_in: int, fan_out: int) -> float:
        """The standard deviation for this many inputs."""
        return self.scale / float(fan_in**0.5)


@dataclass(frozen=True)
class Xavier:
    """Draw from N(0, 2 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 12)."""

    def deviation(self, n_layers: int, fan_in: int, fan_out: int) -> float:
        """The standard deviation for this many inputs and outputs."""
        return float((2 / (fan_in + fan_out)) ** 0.5)


@dataclass(frozen=True)
class Uniform:
    """Draw from U(-bound, bound)."""

    bound: float

    def deviation(self, n_layers: int, fan_in: int, fan_out: int) -> float:
        """The standard deviation."""
        return self.bound / float(3**0.5)


Rule = Normal | DepthScaledNormal | FanIn | Xavier | Uniform


@dataclass(frozen=True)
class Initialisation:
    """How fresh weights are drawn, by the role of a parameter; gains are 1 and biases 0.

    positions: added position, segment and bucket tables. residual: the last map of a sublayer.
    query, head: the maps of those names; where unset they are drawn as every other `matrix`.
    """

    embedding: Normal
    positions: Rule
    matrix: Rule
    residual: Rule
    query: Rule | None = None
    head: Rule | None = None

    def rule(self, role: str) -> Rule:
        """The rule of a role; keys and values are matrices like any other."""
        chosen: Rule | None = getattr(self, "matrix" if role in ("key", "value") else role)
        return self.matrix if chosen is None else chosen

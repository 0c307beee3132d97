"""What numbers of a spec may be: one clear SpecError each for what cannot be built."""

from hornbook.errors import SpecError


def require(condition: bool, message: str) -> None:
    """Raise SpecError with this message unless the condition holds."""
    if not condition:
        raise SpecError(message)


def positive(owner: object, *names: str) -> None:
    """Raise SpecError unless these fields are whole numbers of at least 1."""
    for name in names:
        value = getattr(owner, name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        require(
            whole and value >= 1,
            f"{type(owner).__name__}.{name} is {value!r}; it must be a whole number of at least 1.",
        )


def rate(owner: object, *names: str) -> None:
    """Raise SpecError unless these fields are dropout rates."""
    for name in names:
        value = getattr(owner, name)
        require(
            0.0 <= value < 1.0,
            f"{type(owner).__name__}.{name} is {value!r}; a dropout rate lies in 0 <= rate < 1.",
        )


def among(owner: object, name: str, known: tuple[str, ...]) -> None:
    """Raise SpecError unless the field is one of the known names."""
    value = getattr(owner, name)
    require(value in known, f"{name} is {value!r}; known are {', '.join(known)}.")

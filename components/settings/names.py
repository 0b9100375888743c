"""Near names and lists of choices for error texts."""

from collections.abc import Iterable
from difflib import get_close_matches


def choices(names: Iterable[str]) -> str:
    """Return `a, b`, or `none` without names."""
    return ", ".join(sorted(names)) or "none"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return `Did you mean 'x'? ` with the space behind it, or an empty text if no name is near."""
    near = get_close_matches(name.casefold(), list(names), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}? " if near else ""


def one_of(names: Iterable[str]) -> str:
    """Return `a, b or c` in the given order."""
    return _join("or", names)


def all_of(names: Iterable[str]) -> str:
    """Return `a, b and c` in the given order."""
    return _join("and", names)


def _join(word: str, names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last

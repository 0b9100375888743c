"""Near names and lists of choices, as error lines write them."""

from collections.abc import Iterable
from difflib import get_close_matches


def choices(names: Iterable[str]) -> str:
    """`a, b`; `none` when there is nothing to choose from."""
    return ", ".join(sorted(names)) or "none"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`Did you mean 'x'? ` (with the space behind it), or nothing when no name is near."""
    near = get_close_matches(name.casefold(), list(names), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}? " if near else ""


def one_of(names: Iterable[str]) -> str:
    """`a, b or c`, in the given order."""
    return _listed("or", names)


def all_of(names: Iterable[str]) -> str:
    """`a, b and c`, in the given order."""
    return _listed("and", names)


def _listed(word: str, names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last

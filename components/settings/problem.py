"""Problems of a stack file, and the rules that find them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Problem:
    """One problem: the path of a setting, and what is wrong there with its fix."""

    path: str
    text: str

    def __str__(self) -> str:
        """Return the problem as a line."""
        return f"{self.path}: {self.text}"

    def within(self, path: str) -> bool:
        """Tell if the problem is at this path or below it."""
        return self.path == path or self.path.startswith((f"{path}.", f"{path}["))


class Unread(Exception):  # noqa: N818 (the end of a rule, and no error)
    """Ends a rule that needs a setting which could not be read: the problem of that setting is known already."""

    @classmethod
    def setting(cls, name: str) -> Self:
        """Return the exception for a setting of this name."""
        return cls(f"{name} could not be read")


def each(*rules: Iterator[Problem]) -> Iterator[Problem]:
    """Yield what each rule finds. A rule ends at the first setting that could not be read."""
    for rule in rules:
        with suppress(Unread):
            yield from rule

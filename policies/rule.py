"""What a rule is: a pure function over what the program declares."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from manifests.reading import Property


class Level(Enum):
    """What a finding means."""

    MANDATORY = "mandatory"
    """Nothing is deployed until it is mended."""
    ADVISORY = "advisory"
    """It is said, and no more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Resource:
    """One resource as the engine is told of it; two are the same only if they are one."""

    type: str
    """As in `kubernetes:apps/v1:Deployment`."""
    name: str
    """Its name in the program."""
    props: Mapping[str, Property]
    stack: str
    protect: bool = False

    @property
    def kind(self) -> str:
        """`Deployment` for `kubernetes:apps/v1:Deployment`; empty for what is no object of the cluster."""
        return self.type.rpartition(":")[2] if self.type.startswith("kubernetes:") else ""

    @property
    def title(self) -> str:
        """Kind and name as `kubectl` knows them."""
        metadata = self.props.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        return f"{self.kind or self.type} {name if isinstance(name, str) else self.name}"


Finding: TypeAlias = tuple[Resource, str]
"""What is wrong with a resource: the path, what is wrong, what to do."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Judges every resource by itself, before it is made."""

    name: str
    level: Level
    refuses: str
    """What it looks for, in a sentence."""
    why: str
    """What would happen, and with it the reason for the level."""
    check: Callable[[Resource], Iterable[str]]

    def judge(self, resources: Iterable[Resource]) -> Iterator[Finding]:
        """The findings among the resources."""
        return ((resource, text) for resource in resources for text in self.check(resource))


@dataclass(frozen=True, kw_only=True)
class StackRule:
    """Judges resources by each other: at the end of a preview, and after an `up` that skipped it."""

    name: str
    level: Level
    refuses: str
    why: str
    judge: Callable[[Sequence[Resource]], Iterable[Finding]]


def lacks(properties: Mapping[str, Property], key: str, wanted: Property) -> bool:
    """Is something known to stand at `key` that is not what is wanted, or nothing at all?"""
    found = properties.get(key)
    return found != wanted and (found is None or isinstance(found, bool | int | str | list | Mapping))

"""A rule: a pure function of the resources that the program declares."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from manifests.reading import Property


class Level(Enum):
    """Effect of a finding."""

    MANDATORY = "mandatory"
    """It stops the deployment."""
    ADVISORY = "advisory"
    """It is a warning."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Resource:
    """A resource that the program registers. Resources compare by identity."""

    type: str
    """Its type, as in `kubernetes:apps/v1:Deployment`."""
    name: str
    """Its name in the program."""
    props: Mapping[str, Property]
    stack: str
    protect: bool = False

    @property
    def kind(self) -> str:
        """Return `Deployment` for `kubernetes:apps/v1:Deployment`; empty for resources outside the cluster."""
        return self.type.rpartition(":")[2] if self.type.startswith("kubernetes:") else ""

    @property
    def title(self) -> str:
        """Return kind and name, as in kubectl."""
        metadata = self.props.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        return f"{self.kind or self.type} {name if isinstance(name, str) else self.name}"


Finding: TypeAlias = tuple[Resource, str]
"""A resource, and the text of its problem: path, problem and remedy."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule that checks every resource by itself, before it is made."""

    name: str
    level: Level
    refuses: str
    """Description of what it refuses, in one sentence."""
    why: str
    """Consequence without the rule, which is the reason for its level."""
    check: Callable[[Resource], Iterable[str]]

    def judge(self, resources: Iterable[Resource]) -> Iterator[Finding]:
        """Return the findings in the resources."""
        return ((resource, text) for resource in resources for text in self.check(resource))


@dataclass(frozen=True, kw_only=True)
class StackRule:
    """A rule across resources, checked at the end of a preview, and after an `up` without one."""

    name: str
    level: Level
    refuses: str
    why: str
    judge: Callable[[Sequence[Resource]], Iterable[Finding]]


def lacks(properties: Mapping[str, Property], key: str, wanted: Property) -> bool:
    """Tell if the value at `key` is missing, or is known and differs from the wanted one."""
    found = properties.get(key)
    return found != wanted and (found is None or isinstance(found, bool | int | str | list | Mapping))

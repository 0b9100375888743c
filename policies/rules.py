"""Registry of all rules, and the check of a whole stack."""

from collections.abc import Iterator, Sequence

from .access import CLOSED_MUTATIONS, FRONT_FIRST, GATEWAY_FIRST, NO_PLAIN_SECRETS
from .containers import RESTRICTED_CONTAINERS, STATED_RESOURCES
from .images import PINNED_IMAGES
from .rule import Resource, Rule, StackRule
from .volumes import NO_IMPOSSIBLE_OVERLAP, PROTECTED_DATA

RULES: tuple[Rule | StackRule, ...] = (
    PINNED_IMAGES,
    NO_PLAIN_SECRETS,
    GATEWAY_FIRST,
    FRONT_FIRST,
    RESTRICTED_CONTAINERS,
    STATED_RESOURCES,
    NO_IMPOSSIBLE_OVERLAP,
    PROTECTED_DATA,
    CLOSED_MUTATIONS,
)


def judge(resources: Sequence[Resource]) -> Iterator[tuple[Rule | StackRule, Resource, str]]:
    """Yield the findings of every rule, in the order of the rules."""
    for rule in RULES:
        for resource, text in rule.judge(resources):
            yield rule, resource, text

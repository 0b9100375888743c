"""Findings of the policies about a recorded program."""

from collections.abc import Iterable

from policies.rule import Level, Resource
from policies.rules import RULES, judge

from . import properties
from .document import Finding
from .recorder import Recording


def findings(recording: Recording, stack: str) -> list[Finding]:
    """Return every finding, mandatory ones first."""
    resources = [
        Resource(type=r.type, name=r.name, props=properties.reveal(dict(r.inputs)), stack=stack, protect=r.protect)
        for r in recording.resources
    ]
    found = [
        Finding(rule=rule.name, level=rule.level.value, where=resource.title, text=text)
        for rule, resource, text in judge(resources)
    ]
    return sorted(found, key=lambda finding: finding.level != Level.MANDATORY.value)


def has_mandatory(found: Iterable[Finding]) -> bool:
    """Tell if one of the findings is mandatory, so that the plan must not be deployed."""
    return any(finding.level == Level.MANDATORY.value for finding in found)


def section(found: Iterable[Finding]) -> list[str]:
    """Return the findings as lines."""
    return [finding.line for finding in found] or [f"all {len(RULES)} rules are kept"]

"""Readers of parts of a manifest whose shape is unchecked."""

from collections.abc import Mapping
from typing import Any, TypeAlias

Property: TypeAlias = Any
"""A JSON value. Anything else in its place is unknown before the resource is made, and causes no finding."""


def mapping(value: Property) -> Mapping[str, Property]:
    """Return the mapping, or an empty one in place of anything else."""
    return value if isinstance(value, Mapping) else {}


def items(value: Property) -> list[Mapping[str, Property]]:
    """Return the mappings of a list, or none in place of anything else."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def texts(value: Property) -> list[str]:
    """Return the strings of a list, or none in place of anything else."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def overlaps(props: Mapping[str, Property]) -> bool:
    """Tell if a rollout of this Deployment or predictor starts the next pod while the old one still runs."""
    spec = mapping(props.get("spec"))
    strategy = mapping(spec.get("strategy") or mapping(spec.get("predictor")).get("deploymentStrategy"))
    # Kubernetes' own default is RollingUpdate with a surge of 25 %, rounded up: one pod more.
    surge = mapping(strategy.get("rollingUpdate")).get("maxSurge", 1)
    return strategy.get("type") != "Recreate" and surge not in (0, "0", "0%")

"""Quantities of Kubernetes in their several spellings: 0.5 is 500m, 1Gi is 1024Mi."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from .reading import Property

_HOLDERS = frozenset({"requests", "limits", "capacity", "hard", "sizeLimit"})
"""Fields that hold quantities; elsewhere a text that looks like one is a text."""
_TEXTS = frozenset({"data", "stringData", "binaryData", "metadata"})
"""Fields of objects whose values are texts, whatever their keys are."""
_SUFFIXES = {"": Decimal(1), "m": Decimal("1e-3")} | {
    name: Decimal(base) ** power
    for base, names in ((1000, "k M G T P E"), (1024, "Ki Mi Gi Ti Pi Ei"))
    for power, name in enumerate(names.split(), start=1)
}
_QUANTITY = re.compile(r"([+-]?[0-9.]{1,30})([mkKMGTPE]?i?)")


def are_normalized(manifest: Mapping[str, Property]) -> bool:
    """Tell if Pulumi's plugin compares quantities by amount: it knows the fields of Kubernetes' own kinds only."""
    group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


def amount(value: Property) -> Decimal | None:
    """Return the amount, or None for anything but a quantity."""
    shape = _QUANTITY.fullmatch(str(value))
    try:
        return Decimal(shape[1]) * _SUFFIXES[shape[2]] if shape else None
    except (InvalidOperation, KeyError):
        return None


def same_amount(path: str, one: Property, other: Property) -> bool:
    """Tell if two values at a property path are one amount; False where no quantities stand."""
    steps = re.split(r"[.\[]", path)
    if not _HOLDERS.intersection(steps) or steps[0] in _TEXTS:
        return False
    before, after = amount(one), amount(other)
    return before is not None and before == after

"""The `pulumi.com/` annotations: no wait, another wait, a replacement."""

import re
from typing import Any, Final

from testbed.plugin.values import Manifest

_PREFIX: Final = "pulumi.com/"
# The two forms that the program writes, not all of JSONPath.
_WAIT: Final = re.compile(r"condition=(?P<condition>\w+)|jsonpath=\{(?P<path>(?:\.\w+)+)\}=(?P<expected>.+)")


def stated(manifest: Manifest) -> dict[str, str]:
    """Return the values of all such annotations by their names after the prefix."""
    annotations = (manifest.get("metadata") or {}).get("annotations") or {}
    return {key.removeprefix(_PREFIX): str(value) for key, value in annotations.items() if key.startswith(_PREFIX)}


def asks(manifest: Manifest, name: str) -> bool:
    """Tell whether `pulumi.com/<name>` is switched on."""
    return stated(manifest).get(name, "").lower() == "true"


def can_read(expression: str) -> bool:
    """Tell whether an expression of `pulumi.com/waitFor` is a condition, or a path and the text that it must hold."""
    return _WAIT.fullmatch(expression) is not None


def is_met(expression: str, live: Manifest) -> bool:
    """Tell whether the object meets it. A condition is void while its controller has not seen the last change."""
    wanted = _WAIT.fullmatch(expression)
    status, generation = live.get("status") or {}, (live.get("metadata") or {}).get("generation", 0)
    if wanted is None:
        return False
    if wanted["condition"]:
        fresh = status.get("observedGeneration", generation) >= generation
        true = {one.get("type") for one in status.get("conditions") or [] if one.get("status") == "True"}
        return fresh and wanted["condition"] in true
    found: Any = live
    for key in wanted["path"].split(".")[1:]:
        found = found.get(key) if isinstance(found, dict) else None
    return found is not None and str(found) == wanted["expected"]

"""The `pulumi.com/` annotations: no wait, another wait, a replacement."""

import re
from dataclasses import dataclass
from typing import Any, Final

from testbed.plugin.values import Manifest

_PREFIX: Final = "pulumi.com/"
# The two forms that the program writes, not all of JSONPath.
_WAIT: Final = re.compile(r"condition=(?P<condition>\w+)|jsonpath=\{(?P<path>(?:\.\w+)+)\}=(?P<expected>.+)")


def annotation(manifest: Manifest, name: str) -> str:
    """Return the value of `pulumi.com/<name>`, empty when it is absent."""
    annotations = (manifest.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(_PREFIX + name, ""))


def asks(manifest: Manifest, name: str) -> bool:
    """Tell whether `pulumi.com/<name>` is switched on."""
    return annotation(manifest, name).lower() == "true"


@dataclass(frozen=True)
class WaitFor:
    """The expression of `pulumi.com/waitFor`: a condition that is true, or a path and the text it must hold."""

    expression: str
    condition: str
    path: tuple[str, ...]
    expected: str

    def met_by(self, live: Manifest) -> bool:
        """Tell whether the object fulfils it. A condition is void while its controller has not seen the last change."""
        status, generation = live.get("status") or {}, (live.get("metadata") or {}).get("generation", 0)
        if self.condition:
            fresh = status.get("observedGeneration", generation) >= generation
            true = {one.get("type") for one in status.get("conditions") or [] if one.get("status") == "True"}
            return fresh and self.condition in true
        found: Any = live
        for key in self.path:
            found = found.get(key) if isinstance(found, dict) else None
        return found is not None and str(found) == self.expected


def wait_for(manifest: Manifest) -> WaitFor | None:
    """Return the expression of `pulumi.com/waitFor`, if there is one. Raises ValueError for what it cannot read."""
    stated = annotation(manifest, "waitFor")
    if not stated:
        return None
    if (read := _WAIT.fullmatch(stated)) is None:
        raise ValueError(f"pulumi.com/waitFor: the stand-in plugin cannot read {stated!r}")
    path = tuple((read["path"] or "").split(".")[1:])
    return WaitFor(stated, read["condition"] or "", path, read["expected"] or "")

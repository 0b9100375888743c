"""What the `pulumi.com/` annotations and the urn ask for: names, timeouts, waits, deletion."""
# ruff: noqa: ANN401 - JSON has no narrower type

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from testbed.plugin.values import Manifest

AUTONAMED: Final = "pulumi.com/autonamed"
_PREFIX: Final = "pulumi.com/"


def annotation(manifest: Manifest, name: str) -> str:
    """The value of `pulumi.com/<name>`, empty when it is absent."""
    annotations = (manifest.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(_PREFIX + name, ""))


def asks(manifest: Manifest, name: str) -> bool:
    """Whether `pulumi.com/<name>` is switched on."""
    return annotation(manifest, name).lower() == "true"


def autoname(urn: str, seed: bytes, proposed: str) -> str:
    """`<logical name>-<8 hex>`: what the engine proposes, else from its seed, the same for a preview and its up."""
    if proposed:
        return proposed
    suffix = (seed or hashlib.sha256(urn.encode()).digest())[:4].hex()
    return f"{urn.rpartition('::')[2]}-{suffix}"


def timeout(manifest: Manifest, requested: float, default: float) -> float:
    """Seconds to wait: custom_timeouts first, then `pulumi.com/timeoutSeconds`, then the default."""
    stated = annotation(manifest, "timeoutSeconds")
    return requested or (float(stated) if stated.isdecimal() else default)


def propagation(manifest: Manifest) -> str:
    """How deletion reaches dependents; Foreground unless `pulumi.com/deletionPropagationPolicy` says otherwise."""
    stated = annotation(manifest, "deletionPropagationPolicy").capitalize()
    return stated if stated in ("Orphan", "Background") else "Foreground"


@dataclass(frozen=True)
class WaitFor:
    """One expression of `pulumi.com/waitFor`: a path into the object and the text it must hold (None: any)."""

    expression: str
    path: tuple[str | int | tuple[str, str], ...]
    expected: str | None

    def met_by(self, live: Manifest) -> bool:
        """Whether the object fulfils it now. A condition tells nothing of a generation its controller has not seen."""
        status, generation = live.get("status") or {}, (live.get("metadata") or {}).get("generation", 0)
        if self.expression.startswith("condition=") and status.get("observedGeneration", generation) < generation:
            return False
        found = list(_follow(live, self.path))
        if self.expected is None:
            return bool(found)
        return any(_text(value).lower() == self.expected.lower() for value in found)


def wait_for(manifest: Manifest) -> list[WaitFor]:
    """The expressions of `pulumi.com/waitFor`, one or a JSON list. Raises ValueError for what it cannot read."""
    stated = annotation(manifest, "waitFor")
    if not stated:
        return []
    try:
        listed = json.loads(stated)
    except json.JSONDecodeError:
        listed = stated
    return [_parse(str(expression)) for expression in (listed if isinstance(listed, list) else [stated])]


# .name, ['name'], [0], [*] and [?(@.key=='value')]: the JSONPath that conditions and phases need, not RFC 9535.
_STEP: Final = re.compile(
    r"""\.(?P<name>[\w-]+)|\[['"](?P<quoted>[^'"]+)['"]\]|\[(?P<index>\d+)\]|(?P<all>\[\*\])"""
    r"""|\[\?\(?@\.(?P<key>[\w-]+)\s*==\s*['"](?P<value>[^'"]*)['"]\)?\]"""
)


def _parse(expression: str) -> WaitFor:
    kind, _, rest = expression.partition("=")
    if kind == "condition":
        name, _, expected = rest.partition("=")
        return WaitFor(expression, ("status", "conditions", ("type", name), "status"), expected or "True")
    if kind != "jsonpath":
        raise ValueError(f'pulumi.com/waitFor: expected a "jsonpath=" or "condition=" prefix, got {expression!r}')
    body, closing, expected = rest.strip().removeprefix("{").partition("}")
    if not closing:
        body, _, expected = rest.partition("=") if "==" not in rest else (rest, "", "")
    return WaitFor(expression, tuple(_steps(body, expression)), expected.removeprefix("=").strip("'\"") or None)


def _steps(path: str, expression: str) -> Iterator[str | int | tuple[str, str]]:
    position = 0
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise ValueError(
                f"pulumi.com/waitFor: the stand-in plugin cannot read {path[position:]!r} of {expression!r}"
            )
        if step["key"]:
            yield (step["key"], step["value"])
        elif step["index"]:
            yield int(step["index"])
        else:
            yield "*" if step["all"] else step["name"] or step["quoted"]
        position = step.end()


def _follow(value: Any, path: tuple[str | int | tuple[str, str], ...]) -> Iterator[Any]:
    if not path:
        yield value
        return
    step, rest = path[0], path[1:]
    children = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    match step:
        case "*":
            chosen = children
        case (key, wanted):
            chosen = [child for child in children if isinstance(child, dict) and child.get(key) == wanted]
        case int():
            chosen = children[step : step + 1]
        case _:
            chosen = [value[step]] if isinstance(value, dict) and step in value else []
    for child in chosen:
        yield from _follow(child, rest)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

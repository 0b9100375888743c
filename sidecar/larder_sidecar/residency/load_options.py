"""The load options that clients of Ollama's API send, and the part of them that reaches the engine.

A keep-alive holds for the later requests of all clients, because Ollama restarts its timer with the last value
(server/sched.go, useLoadedRunner). Ollama also reloads a model whose runner options differ from those of the request
(needsReload there): clients with different options would evict each other's model in turns.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..config.residency import Residency

ENGINE_KEEP_ALIVE = 60.0
"""Shortest keep-alive that an engine is sent, in seconds."""
FOR_EVER = 10.0**8
"""Three years in seconds. More is sent as `for ever`, because Go counts durations in nanoseconds."""
LONGEST = 16_384
"""Limit in bytes for a keep-alive or options: parsing them blocks the event loop."""

RELOADING = frozenset(
    (
        "num_ctx",
        "num_batch",
        "num_gpu",
        "main_gpu",
        "use_mmap",
        "use_mlock",
        "num_thread",
        "num_keep_layers",
        "low_vram",
        "f16_kv",
        "vocab_only",
        "numa",
        "draft_num_predict",
    )
)
"""Options of Ollama's runner: api/types.go, Runner, and its earlier versions."""
_DURATION = re.compile(r"([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class LoadOptionsError(ValueError):
    """A client's load option cannot be read."""


def parse_keep_alive(raw: bytes) -> float | None:
    """Parse a keep-alive as Ollama does (api/types.go, Duration): seconds, `inf` for ever, None for null.

    Raises LoadOptionsError.
    """
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = raw
    if value is None:
        return None
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value)) if match else 0.0
        if match or value == "0":
            return math.inf if value.startswith("-") and seconds else seconds
    if isinstance(value, int | float) and not isinstance(value, bool):
        return math.inf if value < 0 or value > FOR_EVER else float(value)
    message = "keep_alive must be a number of seconds or a duration as in '30m'"
    raise LoadOptionsError(message)


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The load options of one request after the settings were applied."""

    keep_alive: float | None
    """Keep-alive from this request on, in seconds; None if nothing changes."""
    members: Mapping[str, bytes]
    """Members of the body that replace the client's."""


def resolve_load_options(
    config: Residency, load_members: Mapping[str, bytes], *, keep_alive: float, pinned: bool
) -> LoadOptions:
    """Resolve the members `keep_alive` and `options` that the client sent. Raises LoadOptionsError.

    `keep_alive` and `pinned` hold for the model so far.
    """
    if long := [name for name, value in load_members.items() if len(value) > LONGEST]:
        message = f"{long[0]} is longer than {LONGEST} bytes"
        raise LoadOptionsError(message)
    members: dict[str, bytes] = {}
    granted = None
    if "keep_alive" in load_members:
        asked = parse_keep_alive(load_members["keep_alive"])
        if asked is not None and config.client_keep_alive != "ignore" and not pinned:
            granted = asked if config.client_keep_alive == "obey" else min(asked, config.keep_alive)
        sent = None if pinned else engine_keep_alive_for(keep_alive if granted is None else granted)
        members["keep_alive"] = b"-1" if sent is None else b"%d" % math.ceil(sent)
    if "options" in load_members:
        members["options"] = load_members["options"]
        if config.client_options == "ignore":
            members["options"] = drop_reloading_options(load_members["options"])
    return LoadOptions(granted, members)


def engine_keep_alive_for(keep_alive: float) -> float | None:
    """Return the keep-alive for the engine, None for ever. Its own timer is the fallback for a gateway that died."""
    return None if keep_alive > FOR_EVER else max(keep_alive, ENGINE_KEEP_ALIVE)


def drop_reloading_options(raw: bytes) -> bytes:
    """Remove the options that reload a model from a JSON object. Raises LoadOptionsError if it is not JSON."""
    try:
        options = json.loads(raw)
    except (ValueError, RecursionError):
        message = "options is not valid JSON. Fix: send a JSON object"
        raise LoadOptionsError(message) from None
    if not isinstance(options, dict) or not (found := {key for key in options if key.lower() in RELOADING}):
        return raw
    return json.dumps({key: value for key, value in options.items() if key not in found}).encode()

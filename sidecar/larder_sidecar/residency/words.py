"""What clients of Ollama's own API say about loading a model, and what of it the engine gets to hear.

A keep-alive holds for everybody's later requests, because Ollama restarts its timer with the last one it was told
(server/sched.go, useLoadedRunner). And a model is loaded anew where a request's runner options differ from those it was
loaded with (needsReload there): clients with different ones take turns in throwing out each other's model.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..config.residency import Residency

ENGINE_KEEP_ALIVE = 60.0
"""Seconds; the least that an engine is told."""
FOR_EVER = 10.0**8
"""Seconds, three years: more is told as for ever, for Go counts a duration in nanoseconds."""
LONGEST = 16_384
"""Bytes of a keep-alive, or of options: what is read here is held by the loop meanwhile."""

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
"""Options of the runner: api/types.go, Runner, and what earlier versions had there."""
_DURATION = re.compile(r"([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class WordsError(ValueError):
    """What the client said has no meaning."""


def seconds_of(raw: bytes) -> float | None:
    """Seconds, `inf` for ever, None for null, as Ollama reads the value: api/types.go, Duration. Raises WordsError."""
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
    raise WordsError(message)


@dataclass(frozen=True, slots=True)
class Words:
    """What one request says about the loading of its model, after the settings were asked."""

    keep_alive: float | None
    """Seconds that the model stays idle after it, and after those that follow; None where nothing changes."""
    members: Mapping[str, bytes]
    """What stands in the body in place of what the client wrote."""


def heard(config: Residency, said: Mapping[str, bytes], *, keep_alive: float, pinned: bool) -> Words:
    """What becomes of the members `keep_alive` and `options`, as far as the client sent them. Raises WordsError.

    `keep_alive` and `pinned` are what holds for the model so far.
    """
    if long := [name for name, value in said.items() if len(value) > LONGEST]:
        message = f"{long[0]} is longer than {LONGEST} bytes"
        raise WordsError(message)
    members: dict[str, bytes] = {}
    granted = None
    if "keep_alive" in said:
        asked = seconds_of(said["keep_alive"])
        if asked is not None and config.client_keep_alive != "ignore" and not pinned:
            granted = asked if config.client_keep_alive == "obey" else min(asked, config.keep_alive)
        told = None if pinned else engine_seconds(keep_alive if granted is None else granted)
        members["keep_alive"] = b"-1" if told is None else b"%d" % math.ceil(told)
    if "options" in said:
        members["options"] = said["options"]
        if config.client_options == "ignore":
            members["options"] = without_reloading(said["options"])
    return Words(granted, members)


def engine_seconds(keep_alive: float) -> float | None:
    """What the engine is told of a keep-alive, None for ever: its own timer is for a gateway that died."""
    return None if keep_alive > FOR_EVER else max(keep_alive, ENGINE_KEEP_ALIVE)


def without_reloading(raw: bytes) -> bytes:
    """The JSON object of options without those that reload a model. Raises WordsError where it cannot be read."""
    try:
        options = json.loads(raw)
    except (ValueError, RecursionError):
        message = "options cannot be read as JSON"
        raise WordsError(message) from None
    if not isinstance(options, dict) or not (found := {key for key in options if key.lower() in RELOADING}):
        return raw
    return json.dumps({key: value for key, value in options.items() if key not in found}).encode()

"""Sizes, bandwidths and durations as text and as numbers."""

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

_FACTORS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_TOO_MUCH = 2**63
_SIZE = re.compile(r"^([1-9][0-9]{0,9})(Ki|Mi|Gi|Ti)$")
_BANDWIDTH = re.compile(r"^([1-9][0-9]{0,9})(Ki|Mi|Gi)B/s$")
_DURATION = re.compile(r"^(0|[1-9][0-9]{0,4})(s|m|h)$")
_DAY = 86_400


def size_bytes(text: str) -> int:
    """Return bytes: `20Gi` -> 21474836480. Raises ValueError."""
    if not isinstance(text, str) or not (match := _SIZE.fullmatch(text)):
        msg = f"{text!r} is not a size. Fix: write a whole number with Ki, Mi, Gi or Ti, as in 20Gi."
        raise ValueError(msg)
    if (count := int(match[1]) * _FACTORS[match[2]]) >= _TOO_MUCH:
        msg = f"{text!r} is too large for Kubernetes. Fix: write less than {_TOO_MUCH // _FACTORS['Ti']}Ti."
        raise ValueError(msg)
    return count


def bandwidth_bytes(text: str) -> int:
    """Return bytes per second: `20MiB/s` -> 20971520. Raises ValueError."""
    if not isinstance(text, str) or not (match := _BANDWIDTH.fullmatch(text)):
        msg = f"{text!r} is not a bandwidth. Fix: write a whole number with KiB/s, MiB/s or GiB/s, as in 20MiB/s."
        raise ValueError(msg)
    return int(match[1]) * _FACTORS[match[2]]


def seconds(text: str) -> float:
    """Return seconds: `30m` -> 1800. Raises ValueError."""
    if not isinstance(text, str) or not (match := _DURATION.fullmatch(text)):
        msg = f"{text!r} is not a duration. Fix: write a whole number with s, m or h, as in 30m."
        raise ValueError(msg)
    if (count := int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]) > _DAY:
        msg = f"{text!r} is more than a day. Fix: write 24h or less."
        raise ValueError(msg)
    return float(count)


def lasting(seconds: float) -> str:
    """Return seconds as people write them: 1800 -> `30m`."""
    for unit, factor in (("h", 3600), ("m", 60)):
        if seconds >= factor and seconds % factor == 0:
            return f"{seconds / factor:g}{unit}"
    return f"{seconds:g}s"


def in_mebibytes(count: float) -> str:
    """Return bytes as a Kubernetes quantity, rounded up: 1 -> `1Mi`."""
    return f"{math.ceil(count / _FACTORS['Mi'])}Mi"


def whole_gibibytes(size: str) -> int:
    """Return GiB, the clouds' unit for disks, rounded up: `100Gi` -> 100. Raises ValueError."""
    return -(-size_bytes(size) // _FACTORS["Gi"])


def readable(count: float) -> str:
    """Return bytes as people read them: 668788096 -> `637.8 MiB`."""
    for unit, factor in reversed(_FACTORS.items()):
        if count >= factor:
            return f"{count / factor:.1f} {unit}B"
    return f"{count:.0f} B"


def _cores(cores: object) -> object:
    # `pulumi config set --path larder:ollama.cpu 2` writes a number.
    return str(cores) if isinstance(cores, int) and not isinstance(cores, bool) else cores


def _size(text: str) -> str:
    size_bytes(text)
    return text


def _duration(text: object) -> str:
    if text == 0:  # YAML's 0, which needs no unit
        return "0s"
    seconds(str(text))
    return str(text)


def _bandwidth(text: str) -> str:
    bandwidth_bytes(text)
    return text


Size = Annotated[
    str, BeforeValidator(_size), WithJsonSchema({"type": "string", "pattern": _SIZE.pattern, "examples": ["20Gi"]})
]
Bandwidth = Annotated[
    str,
    BeforeValidator(_bandwidth),
    WithJsonSchema({"type": "string", "pattern": _BANDWIDTH.pattern, "examples": ["20MiB/s"]}),
]

Duration = Annotated[
    str,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": _DURATION.pattern, "examples": ["30m"]}),
]

Cores = Annotated[
    str,
    BeforeValidator(_cores),
    Field(pattern=r"^[1-9][0-9]{0,5}m?$"),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": "^[1-9][0-9]{0,5}m?$"}, {"type": "integer", "minimum": 1}]}
    ),
]


def millicores(text: str) -> int:
    """Return thousandths of a core: `500m` -> 500, `2` -> 2000."""
    return int(text[:-1]) if text.endswith("m") else int(text) * 1000

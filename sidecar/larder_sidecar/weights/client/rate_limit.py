"""Pauses that a server asks for, in any of the headers that servers use.

Retry-After in seconds or as a date (RFC 9110 10.2.3); RateLimit as a list of policies (draft-ietf-httpapi-ratelimit-
headers) and in its older forms; X-RateLimit-Reset as seconds, as a duration (`1m30s`) or as a time; Docker Hub's
`0;w=21600`, which states the length of the window only; Retry-After-Ms of Azure and OpenAI.
"""

import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 86_400.0
"""Seconds of the longest pause that is believed: no window of a rate limit is longer."""
LOOK = 900.0
"""Seconds until another attempt if a window's length is known and its end is not."""
_READ = 1024
_EPOCH, _THOUSANDTHS = 1e8, 1e11
"""Numbers from the first on are times since 1970 in seconds, from the second on in milliseconds or finer units."""
_NUMBER = r"(\d{1,19}(?:\.\d{1,9})?)"
_FIRST = re.compile(rf'\s*["+]?{_NUMBER}"?\s*(?:[,;sS]|\Z)')
_AMOUNT = r"(\d{1,9}(?:\.\d{1,9})?)"
_DURATION = re.compile(rf"\s*(?:PT)?(?:{_AMOUNT}h)?(?:{_AMOUNT}m)?(?:{_AMOUNT}s)?(?:{_AMOUNT}ms)?\s*\Z", re.IGNORECASE)
"""A duration in the notation of Go or of ISO 8601."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_PARAMETER = re.compile(rf"([a-z]{{1,16}})\s*=\s*{_NUMBER}(?=[\s,;]|\Z)", re.IGNORECASE)
_FAMILIES = ("RateLimit", "X-RateLimit", "X-Rate-Limit")
_AFTER = ("Retry-After", "X-Retry-After", "X-RateLimit-Retry-After", "X-Rate-Limit-Retry-After-Seconds")
_AFTER_MS = ("Retry-After-Ms", "X-Ms-Retry-After-Ms", "X-Retry-After-Ms")


def requested_pause(headers: Mapping[str, str], now: float | None = None) -> float:
    """Return the seconds to wait before another request, 0 for none. `now` is the time since 1970."""
    clock = time.time() if now is None else now
    pauses = [_seconds_until(_header(headers, name), headers, clock) for name in _AFTER]
    pauses.extend((_first(_header(headers, name)) or 0.0) / 1000 for name in _AFTER_MS)
    pauses.append(_policy_pause(_header(headers, "RateLimit")))
    pauses.extend(_family_pause(headers, family, clock) for family in _FAMILIES)
    return max((seconds for seconds in pauses if 0 < seconds <= LONGEST), default=0.0)


def is_exhausted(headers: Mapping[str, str]) -> bool:
    """Return True if a refusal comes from a rate limit, whatever its status."""
    left = (_first(_header(headers, f"{family}-Remaining")) for family in _FAMILIES)
    return "Retry-After" in headers or any(it == 0 for it in left)


def _policy_pause(text: str) -> float:
    """Return the longest pause of policies that are used up: `"name";r=0;t=55, …`, or `remaining=0, reset=55`."""
    text = _QUOTED.sub("q", text)
    flat = {name.lower(): float(value) for name, value in _PARAMETER.findall(text)}
    if "reset" in flat:
        return flat["reset"] if flat.get("remaining", 0) <= 0 else 0.0
    items = [{name.lower(): float(value) for name, value in _PARAMETER.findall(item)} for item in text.split(",")]
    return max((it["t"] for it in items if "t" in it and it.get("r", 0) <= 0), default=0.0)


def _family_pause(headers: Mapping[str, str], name: str, clock: float) -> float:
    remaining = _header(headers, f"{name}-Remaining")
    left = _first(remaining)
    if left is not None and left > 0:
        return 0.0
    for kind in ("Reset", "Reset-After"):
        if seconds := _seconds_until(_header(headers, f"{name}-{kind}"), headers, clock):
            return seconds
    window = {key.lower(): float(value) for key, value in _PARAMETER.findall(remaining)}.get("w", 0.0)
    return min(window, LOOK)


def _seconds_until(text: str, headers: Mapping[str, str], clock: float) -> float:
    """Return the seconds until `text`: a number of seconds, a duration, a time since 1970 or a date."""
    number = _first(text)
    if number is None and (parts := _DURATION.match(text)):
        hours, minutes, seconds, thousandths = (float(it or 0) for it in parts.groups())
        number = 3600 * hours + 60 * minutes + seconds + thousandths / 1000
    if number is not None and number < _EPOCH:
        return number
    end = _date(text) if number is None else number
    if end is None:
        return 0.0
    while end >= _THOUSANDTHS:
        end /= 1000
    # By the clock of the server, which may differ from ours, where it tells it.
    server_time = _date(_header(headers, "Date"))
    by_server_time = end - server_time if server_time is not None else math.inf
    return by_server_time if by_server_time <= LONGEST else end - clock


def _first(text: str) -> float | None:
    found = _FIRST.match(text)
    return float(found[1]) if found else None


def _date(text: str) -> float | None:
    """Return a date of HTTP or of ISO 8601 as seconds since 1970."""
    if not 8 <= len(text) <= 64:
        return None
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            found = read(text.strip())
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def _header(headers: Mapping[str, str], name: str) -> str:
    return headers.get(name, "")[:_READ]

"""Search and replacement of the model name in a JSON body, without decoding the body.

The scanner agrees with every parser that accepts the body. If it accepts a body that a parser refuses, the engine
refuses it. It reads keys as Go's encoding/json does, the parser behind Ollama: without regard to case, so that
`{"model": "a", "MODEL": "b"}` cannot mean one model here and another there.
"""

import json
import re
from collections.abc import Generator, Mapping
from typing import NamedTuple

from .scanner import BodyError, Reader, mask_escapes, value_end

__all__ = ["BodyError", "Field", "Fields", "at_once", "find", "is_true", "members", "replace", "scan"]

_FEW = rb"[ \t\n\r]{0,99}+"
_FIRST = re.compile(
    _FEW + rb"\{" + _FEW + b'"model"' + _FEW + b":" + _FEW + rb'"([^"\\\x80-\xff]{1,999}+)"' + _FEW + b","
)
"""Pattern for the beginning of most bodies. The scanner reads other names than ASCII: their bytes may be no text."""

SLICE = 1_000_000
"""Work between two yields, in bytes of text: about 2 ms."""
_NAME_BYTES = 4096
SMALL = 64 * 1024
"""Size up to which a body is copied and joined: that is faster than views and several writes."""
_NEAR = 16 * 1024
"""Bytes after the model in which a search for another one is faster than the scanner."""
NOTHING: Mapping[str, bytes] = {}
_MODEL = ("model",)


class Field(NamedTuple):
    """A top-level member: its text ('' for null and for other values than names), and the byte range of its value."""

    text: str
    start: int
    end: int


Fields = dict[str, Field]


def find(body: bytes, names: tuple[str, ...] = _MODEL, values: tuple[str, ...] = ()) -> Fields:
    """Run `at_once` and then `scan`, without a pause."""
    if (first := at_once(body, names, values)) is not None:
        return first
    steps = scan(body, names, values)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: Fields = done.value
            return found


def at_once(body: bytes, names: tuple[str, ...] = _MODEL, values: tuple[str, ...] = ()) -> Fields | None:
    """Return the result of `scan` for a body of the usual kind, which begins with its model; None for any other."""
    found, after = _begin(body, names, values)
    return found if after and _no_model_after(body, after) else None


def scan(body: bytes, names: tuple[str, ...] = _MODEL, values: tuple[str, ...] = ()) -> Generator[None, None, Fields]:
    """Return the members called `names` of the JSON object `body`, and `values` of any type.

    Yields where a turn of the loop should end. Raises BodyError.
    """
    found, after = _begin(body, names, values)
    reader = Reader(body, names + values, after)
    while reader.at < len(body):
        for name, start in reader.window():
            if name in found:
                msg = f"the body names {name!r} twice; send it once"
                raise BodyError(msg)
            found[name] = Field("", start, value_end(body, start)) if name in values else _field(name, body, start)
        if reader.work >= SLICE:
            reader.work = 0
            yield
    reader.finish()
    return found


def members(head: bytes, names: tuple[str, ...]) -> Fields:
    """Return the members called `names` of the JSON object that `head` holds or, if it is cut off, begins.

    For text of at most a few windows. Raises BodyError.
    """
    reader = Reader(head, names)
    found: Fields = {}
    while reader.at < len(head):
        found |= {name: Field("", start, value_end(head, start)) for name, start in reader.window()}
    return found


def replace(body: bytes, fields: Fields, name: str, values: Mapping[str, bytes] = NOTHING) -> list[bytes | memoryview]:
    """Return `body` in pieces: `name` in place of the model or as a new `model`; each of `values` in its place."""
    value = json.encoder.encode_basestring_ascii(name).encode()
    view = body if len(body) <= SMALL else memoryview(body)
    if len(fields) == 1 and not values:
        (field,) = fields.values()
        return [view[: field.start], value, view[field.end :]]
    edits = [(field.start, field.end, values.get(key, value)) for key, field in fields.items()]
    if fields.keys() == values.keys():  # no model
        at = body.index(b"{") + 1
        empty = b'"' not in body
        edits.append((at, at, b'"model":' + value + (b"" if empty else b",")))
    pieces: list[bytes | memoryview] = []
    done = 0
    for start, end, new in sorted(edits):
        pieces += [view[done:start], new]
        done = end
    pieces.append(view[done:])
    return pieces


def is_true(body: bytes, fields: Fields, name: str) -> bool:
    """Tell if that member exists and is `true`."""
    return name in fields and body[fields[name].start : fields[name].end] == b"true"


def _begin(body: bytes, names: tuple[str, ...], values: tuple[str, ...]) -> tuple[Fields, int]:
    """Return the model with which most bodies begin, if it is wanted, and the index after it."""
    if names != _MODEL or values or not (first := _FIRST.match(body)):
        return {}, 0
    return {"model": Field(first.group(1).decode(), first.start(1) - 1, first.end(1) + 1)}, first.end()


def _no_model_after(plain: bytes, at: int) -> bool:
    """Tell if no later key can be another `model`, with or without escapes."""
    if len(plain) - at > _NEAR:
        return False
    rest = plain[at:].lower()
    return b'"model"' not in rest and b"\\u" not in rest


def _field(name: str, body: bytes, start: int) -> Field:
    """Return the string, or null, that begins at `start`."""
    raw = body[start : start + _NAME_BYTES]
    if raw.startswith(b"null"):
        return Field("", start, start + 4)
    end = mask_escapes(raw).find(b'"', 1) if raw.startswith(b'"') else -1
    if end < 0:
        raise _no_name(name)
    return Field(_text(name, raw[1:end]), start, start + end + 1)


def _text(name: str, raw: bytes) -> str:
    """Return the text between two quotes."""
    try:
        return str(json.loads(b'"%b"' % raw)) if b"\\" in raw else raw.decode(errors="surrogatepass")
    except ValueError:
        raise _no_name(name) from None


def _no_name(name: str) -> BodyError:
    return BodyError(f"{name!r} must be a string of less than 4 kB")

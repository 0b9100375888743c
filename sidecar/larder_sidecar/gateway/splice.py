"""Find the model a JSON body names, and put another name in its place, without decoding the body.

The scanner agrees with every parser that accepts the body; what it lets through and a parser refuses, the engine
refuses. It reads keys as Go's encoding/json does, the parser behind Ollama: without regard to case, so that
`{"model": "a", "MODEL": "b"}` cannot mean one model here and another there.
"""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

# On bytes whose escapes are masked, so that a quote always begins or ends a string. A class that repeats is possessive;
# a group that does is greedy and bounded instead, and nothing follows it that could send it back far. Possessive groups
# keep what a failed turn has consumed before Python 3.11.5 (gh-106052), and Debian 12 has 3.11.2.
_SPACE = rb"[ \t\n\r]*+"
_SHORT = rb'"[^"]{0,999}+"'
_SCALAR = rb"-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null"
_FLAT = rb'(?:[^"{}\[\]]++|' + _SHORT + rb"){0,64}"
_MEMBER = re.compile(
    _SPACE + rb'"([^"]*+)"' + _SPACE + b":" + _SPACE + b"(?:(" + _SHORT + b"|" + _SCALAR + b")" + _SPACE + b"([,}]))?"
)
"""A key and its colon; and if the value is short and simple, that too and what follows it."""
_NEXT = re.compile(_SPACE + b"([,}])")
_BEGIN = re.compile(_SPACE + rb"\{" + _SPACE + rb"(\})?")
_FIRST = re.compile(
    _SPACE + rb"\{" + _SPACE + b'"model"' + _SPACE + b":" + _SPACE + rb'"([^"\\]{1,999}+)"' + _SPACE + b","
)
"""How many clients begin."""
_BLANK = re.compile(_SPACE)
_INSIDE = re.compile(rb'(?:[^"{}\[\]]++|' + _SHORT + rb"|\{" + _FLAT + rb"\}){0,1000}")
"""Up to the next bracket or long string, over small objects such as the messages of a chat; or as far as it goes."""

MAX_STEPS = 200_000
"""Members, and long strings, objects and arrays at any depth: some 100 ms of scanning. A megabyte of chat has a few
thousand."""
_LONGEST = len("model")
"""No letter of it has another one that Go takes for the same, as k and s have (U+212A, U+017F), of three bytes."""
_NAME_BYTES = 4096
_MODEL = ("model",)
SMALL = 64 * 1024
"""Bytes that are quicker to copy and to join than to view and to send in pieces."""
_NEAR = 16 * 1024
"""Bytes after the model in which it is quicker to look for another one than to go on member by member."""
NOTHING: Mapping[str, bytes] = {}


class BodyError(ValueError):
    """The body is not a JSON object that names at most one model."""


class Field(NamedTuple):
    """A top-level member: its text, '' for null and for what is no name, and the byte range of its value."""

    text: str
    start: int
    end: int


def find(body: bytes, names: tuple[str, ...] = ("model",), values: tuple[str, ...] = ()) -> dict[str, Field]:
    """The members called `names` of the JSON object `body`, and `values`, whatever those are. Raises BodyError."""
    alone = names == _MODEL and not values
    if alone and (first := _FIRST.match(body)) and _no_model_after(body, first.end()):
        start, end = first.span(1)
        return {"model": _field("model", body, start - 1, end + 1)}
    return _scanned(body, names, values, ends_early=alone)


def _scanned(body: bytes, names: tuple[str, ...], values: tuple[str, ...], *, ends_early: bool) -> dict[str, Field]:
    """Member by member; `ends_early`: as soon as no other one can be wanted."""
    plain = body.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in body else body
    found: dict[str, Field] = {}
    begin = _BEGIN.match(plain)
    if begin is None:
        raise _malformed("an object", 0)
    at, after = begin.end(), begin.group(1)
    steps, longest = MAX_STEPS, 3 * max(map(len, values)) if values else _LONGEST
    while (steps := steps - 1) >= 0:
        if after == b"}":
            return _whole(plain, at, found)
        if found and ends_early:
            if _no_model_after(plain, at):
                return found
            ends_early = False
        member = _MEMBER.match(plain, at)
        if member is None:
            raise _malformed("a key and ':'", at)
        key, value, after = member.group(1, 2, 3)
        start = member.end()
        if value is not None:
            at, (start, end) = start, member.span(2)
        else:
            end, steps = _complex(plain, start, steps)
            if (following := _NEXT.match(plain, end)) is None:
                raise _malformed("',' or '}'", end)
            after, at = following.group(1), following.end()
        if len(key) <= longest or b"\\" in key:
            _note(body, member.span(1), (start, end), names, values, found)
    raise _excessive()


def replace(
    body: bytes, fields: dict[str, Field], name: str, values: Mapping[str, bytes] = NOTHING
) -> list[bytes | memoryview]:
    """`body` in pieces: `name` wherever the model stands, or as a new `model`; each of `values` in its place."""
    value = json.encoder.encode_basestring_ascii(name).encode()
    view = body if len(body) <= SMALL else memoryview(body)
    if len(fields) == 1 and not values:
        (field,) = fields.values()
        return [view[: field.start], value, view[field.end :]]
    edits = [(field.start, field.end, values.get(key, value)) for key, field in fields.items()]
    if fields.keys() == values.keys():  # no model
        at = body.index(b"{") + 1
        empty = body[_blank(body, at) :].startswith(b"}")
        edits.append((at, at, b'"model":' + value + (b"" if empty else b",")))
    pieces: list[bytes | memoryview] = []
    done = 0
    for start, end, new in sorted(edits):
        pieces += [view[done:start], new]
        done = end
    pieces.append(view[done:])
    return pieces


def _blank(plain: bytes, at: int) -> int:
    return _BLANK.match(plain, at).end()  # type: ignore[union-attr]  # the pattern matches the empty string too


def _malformed(wanted: str, at: int) -> BodyError:
    return BodyError(f"the body is not JSON: expected {wanted} at byte {at}")


def _excessive() -> BodyError:
    return BodyError(f"the body holds more than {MAX_STEPS:,} members, long strings, objects and arrays")


def _no_model_after(plain: bytes, at: int) -> bool:
    """Whether no key there can be another `model`, neither plain nor with escapes."""
    if len(plain) - at > _NEAR:
        return False
    rest = plain[at:].lower()
    return b'"model"' not in rest and b"\\u" not in rest


def _whole(plain: bytes, at: int, found: dict[str, Field]) -> dict[str, Field]:
    if at != len(plain) and (at := _blank(plain, at)) != len(plain):
        msg = f"the body goes on after the JSON object (byte {at})"
        raise BodyError(msg)
    return found


def _string(plain: bytes, at: int) -> int:
    """The index after the string whose first content byte is at `at`: memchr, for images have megabytes."""
    if (end := plain.find(b'"', at)) < 0:
        raise _malformed("the end of the string", at)
    return end + 1


def _complex(plain: bytes, at: int, steps: int) -> tuple[int, int]:
    """The index after a value that is not both short and simple, and the steps that are left."""
    first = plain[at : at + 1]
    if first == b'"':
        return _string(plain, at + 1), steps
    if first in (b"{", b"["):
        return _container(plain, at + 1, steps)
    # Scalars go with their member: this is none, or something other than ',' follows it.
    raise _malformed("a value", at)


def _container(plain: bytes, at: int, steps: int) -> tuple[int, int]:
    """The index after the object or array whose inside begins at `at`, and the steps that are left."""
    inside, depth = _INSIDE.match, 1
    while (steps := steps - 1) >= 0:
        at = inside(plain, at).end()  # type: ignore[union-attr]  # the pattern matches the empty string too
        byte = plain[at : at + 1]
        at += 1
        if byte == b'"':
            at = _string(plain, at)
        elif byte in (b"{", b"["):
            depth += 1
        elif byte in (b"}", b"]"):
            depth -= 1
            if not depth:
                return at, steps
        elif not byte:
            raise _malformed("the end of an object or array", at - 1)
        else:  # it has gone as far as it goes
            at -= 1
    raise _excessive()


def _note(
    body: bytes,
    key: tuple[int, int],
    value: tuple[int, int],
    names: tuple[str, ...],
    values: tuple[str, ...],
    found: dict[str, Field],
) -> None:
    """Keep the member if it is one of those that are wanted."""
    name = _name(body, *key, names + values)
    if name is None:
        return
    if name in found:
        msg = f"the body names {name!r} twice; send it once"
        raise BodyError(msg)
    found[name] = Field("", *value) if name in values else _field(name, body, *value)


def _name(body: bytes, start: int, end: int, names: tuple[str, ...]) -> str | None:
    """Which of the wanted names the key at [start, end) is; None for every other."""
    if end - start > 64:  # six bytes a letter if all are escaped
        return None
    raw = body[start:end]
    if raw == b"model" and "model" in names:
        return "model"
    try:
        key = json.loads(b'"' + raw + b'"') if b"\\" in raw else raw.decode()
    except ValueError:
        return None
    key = key.lower().replace("\u017f", "s")
    return key if key in names else None


def _field(name: str, body: bytes, start: int, end: int) -> Field:
    raw = body[start:end]
    try:
        if raw.startswith(b'"') and b"\\" not in raw:
            value = raw[1:-1].decode(errors="surrogatepass") if len(raw) <= _NAME_BYTES else 0
        else:
            value = json.loads(raw) if len(raw) <= _NAME_BYTES else 0
    except ValueError:
        value = 0
    if value is not None and not isinstance(value, str):
        msg = f"{name!r} must be a string of less than 4 kB"
        raise BodyError(msg)
    return Field(value or "", start, end)

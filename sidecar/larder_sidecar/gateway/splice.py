"""Find the model a JSON body names, and put another name in its place, without decoding the body.

The scanner agrees with every parser that accepts the body; what it lets through and a parser refuses, the engine
refuses. It reads keys as Go's encoding/json does, the parser behind Ollama: without regard to case, so that
`{"model": "a", "MODEL": "b"}` cannot mean one model here and another there.
"""

import json
import re
from dataclasses import dataclass

_SPACE = re.compile(rb"[ \t\n\r]*")
_SCALAR = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_FLAT = re.compile(rb'(?:[^"{}\[\]]++|"[^"]{0,99}+")*+')
"""Everything up to the next bracket or the next long string."""

MAX_STEPS = 200_000
"""Long strings, objects and arrays inside one value: some 50 ms of scanning. A megabyte of chat has a few thousand."""

QUOTE, BACKSLASH, COLON, COMMA, OPEN, CLOSE = b'"\\:,{}'


class BodyError(ValueError):
    """The body is not a JSON object that names at most one model."""


@dataclass(frozen=True, slots=True)
class Field:
    """A top-level member whose value is a string or null: its text ('' for null) and the value's byte range."""

    text: str
    start: int
    end: int


def find(body: bytes, names: tuple[str, ...] = ("model",)) -> dict[str, Field]:
    """The members called `names` of the JSON object `body`. Raises BodyError."""
    return _Scanner(body, names).object()


def replace(body: bytes, fields: dict[str, Field], name: str) -> list[bytes | memoryview]:
    """`body` in pieces, with `name` as the value of every field in `fields`, or as a new `model` if there is none."""
    value = json.dumps(name).encode()
    if not fields:
        at = body.index(b"{") + 1
        empty = body[_space(body, at)] == CLOSE
        return [body[:at], b'"model":' + value + (b"" if empty else b","), memoryview(body)[at:]]
    pieces: list[bytes | memoryview] = []
    view, done = memoryview(body), 0
    for field in sorted(fields.values(), key=lambda f: f.start):
        pieces += [view[done : field.start], value]
        done = field.end
    pieces.append(view[done:])
    return pieces


def _space(body: bytes, at: int) -> int:
    match = _SPACE.match(body, at)
    return match.end() if match else at


class _Scanner:
    """One pass over one body."""

    __slots__ = ("_body", "_names", "_plain")

    def __init__(self, body: bytes, names: tuple[str, ...]) -> None:
        self._body = body
        self._names = names
        # The same bytes, same offsets, without escapes: every quote left begins or ends a string.
        self._plain = body.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in body else body

    def object(self) -> dict[str, Field]:
        body = self._body
        found: dict[str, Field] = {}
        at = self._expect(_space(body, 0), OPEN, "an object")
        at = _space(body, at)
        if body[at : at + 1] == b"}":
            return self._whole(at + 1, found)
        for _ in range(MAX_STEPS):
            start = self._expect(at, QUOTE, "a key")
            end = self._string(start)
            name = self._name(start - 1, end)
            at = _space(body, self._expect(_space(body, end), COLON, "':'"))
            end = self._value(at)
            if name is not None:
                if name in found:
                    msg = f"the body names {name!r} twice; send it once"
                    raise BodyError(msg)
                found[name] = self._field(name, at, end)
            at = _space(body, end)
            if body[at : at + 1] == b"}":
                return self._whole(at + 1, found)
            at = _space(body, self._expect(at, COMMA, "',' or '}'"))
        msg = f"the body has more than {MAX_STEPS:,} members"
        raise BodyError(msg)

    def _whole(self, at: int, found: dict[str, Field]) -> dict[str, Field]:
        if (at := _space(self._body, at)) != len(self._body):
            msg = f"the body goes on after the JSON object (byte {at})"
            raise BodyError(msg)
        return found

    def _expect(self, at: int, byte: int, what: str) -> int:
        if at >= len(self._body) or self._body[at] != byte:
            msg = f"the body is not JSON: expected {what} at byte {at}"
            raise BodyError(msg)
        return at + 1

    def _string(self, at: int) -> int:
        """The index after the string whose first content byte is at `at`."""
        if (end := self._plain.find(b'"', at)) < 0:
            msg = f"the body is not JSON: the string at byte {at} does not end"
            raise BodyError(msg)
        return end + 1

    def _value(self, at: int) -> int:
        """The index after the value that begins at `at`."""
        first = self._body[at : at + 1]
        if first == b'"':
            return self._string(at + 1)
        if first in (b"{", b"["):
            return self._container(at + 1)
        match = _SCALAR.match(self._body, at)
        if match is None:
            msg = f"the body is not JSON: expected a value at byte {at}"
            raise BodyError(msg)
        return match.end()

    def _container(self, at: int) -> int:
        """The index after the object or array whose inside begins at `at`."""
        plain, flat, depth = self._plain, _FLAT.match, 1
        for _ in range(MAX_STEPS):
            at = flat(plain, at).end()  # type: ignore[union-attr]  # the pattern matches the empty string too
            byte = plain[at : at + 1]
            at += 1
            if byte == b'"':
                at = self._string(at)
            elif byte in (b"{", b"["):
                depth += 1
            elif byte:
                depth -= 1
                if not depth:
                    return at
            else:
                msg = "the body is not JSON: an object or array does not end"
                raise BodyError(msg)
        msg = f"the body holds more than {MAX_STEPS:,} strings, objects and arrays"
        raise BodyError(msg)

    def _name(self, start: int, end: int) -> str | None:
        """Which of the wanted names the key at [start, end) is; None for every other."""
        if end - start > 64:  # six bytes a letter if all are escaped
            return None
        raw = self._body[start:end]
        try:
            key = json.loads(raw) if BACKSLASH in raw else raw[1:-1].decode()
        except ValueError:
            return None
        key = key.lower()
        return key if key in self._names else None

    def _field(self, name: str, start: int, end: int) -> Field:
        raw = self._body[start:end]
        try:
            value = json.loads(raw) if end - start <= 4096 else 0
        except ValueError:
            value = 0
        if value is not None and not isinstance(value, str):
            msg = f"{name!r} must be a string of less than 4 kB"
            raise BodyError(msg)
        return Field(value or "", start, end)

"""Detector for the end of a stream, from its bytes, as its clients would read it.

Events and lines are split by their framing. Only those that hold certain bytes are decoded, and only the
members of the object itself count: a tool's argument `done: true` is text here.
"""

import enum
import json
from collections.abc import Callable

from . import splice
from .lines import WholeLines

LONGEST = 256 * 1024
"""Limit for an incomplete event in memory, in bytes; of a longer one the beginning is kept."""
SPLIT, LOOKED_AT = 5000, 2000
"""Limits for one read: events that are split, and last events of them that are inspected."""
_OBJECT = 4
"""Cost of an event that holds an object, in plain events."""
_LINES = 100
"""Lines of one event that are read."""
_NOTHING = (b"null", b"false", b'""', b"{}")


class Sign(enum.Enum):
    """The meaning of an event for its stream."""

    NONE = enum.auto()
    END = enum.auto()
    ERROR = enum.auto()
    """The engine reports an error to the client."""
    ABORT = enum.auto()
    """The engine gave up, in a form that clients do not take for an error."""


class Watch:
    """Watches the bytes of one stream."""

    __slots__ = (
        "_cut",
        "_events",
        "_gap",
        "_hints",
        "_judge",
        "_open",
        "_return",
        "aborted",
        "ended",
        "error_seen",
        "lines",
    )

    def __init__(self, judge: Callable[[bytes, bytes], Sign], hints: tuple[bytes, ...], *, events: bool) -> None:
        """Take a judge. `events`: the stream has server-sent events, else lines."""
        self._judge = judge
        self._hints = hints
        self._events = events
        self._gap = b"\n\n" if events else b"\n"
        self.lines = WholeLines()
        """The lines to pass on."""
        self._open = b""
        """The last, incomplete event, with LF for each line end."""
        self._return = False
        """True if the last byte was a CR, which may be half of a line end."""
        self._cut = False
        """True if the middle of the open event was dropped."""
        self.ended = False
        """True if the answer is complete."""
        self.error_seen = False
        """True if the client has seen an error."""
        self.aborted = False
        """True if the engine gave up without an error."""

    @property
    def failed(self) -> bool:
        """Tell if the answer failed, even if its stream ended as it should."""
        return self.error_seen or self.aborted

    def see(self, piece: bytes) -> None:
        """Take the next bytes of the body."""
        gap = self._gap
        if self._events and (b"\r" in piece or self._return):
            piece = self._unify_line_ends(piece)
        text = self._open + piece if self._open else piece
        rest = b""
        if not text.endswith(gap):
            if (end := text.rfind(gap)) < 0:
                self._keep(text)
                return
            text, rest = text[:end], text[end + len(gap) :]
        for hint in self._hints:
            if hint in text:
                self._look(text)
                break
        self._cut = False
        self._open = rest
        if rest:
            self._keep(rest)

    def finish(self) -> None:
        """Judge a last event without an end: it counts if it is complete in itself."""
        if not self._open:
            return
        name, data = self._read(self._open)
        if not self._cut and (data.strip() == b"[DONE]" or json_object(data) is not None):
            self._take(self._judge(name, data))

    @property
    def last(self) -> bytes:
        """Return the end of what was passed on, which decides what must precede an error: b"" within a line."""
        if self.lines.broken:
            return b""
        if not self._events:
            return b"\n"
        text = self._open + b"\n" * self._return
        # A name without data is no event: the error's own name takes its place.
        return b"\n" if b"\ndata" in b"\n" + text[: text.rfind(b"\n") + 1] else b"\n\n"

    def _unify_line_ends(self, piece: bytes) -> bytes:
        if self._return:
            piece = b"\r" + piece
        self._return = piece.endswith(b"\r")
        if self._return:
            piece = piece[:-1]
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _keep(self, text: bytes) -> None:
        if len(text) > LONGEST:
            # The last byte too: it may be the first half of a gap.
            text, self._cut = text[: LONGEST - 1] + text[-1:], True
        self._open = text

    def _look(self, whole: bytes) -> None:
        """Judge from the last event to the first, until all is known."""
        left = LOOKED_AT
        events = whole.rsplit(self._gap, SPLIT)
        if len(events) > SPLIT:
            del events[0]
        elif self._cut:
            events[0] = events[0][: LONGEST - 1]
        for event in reversed(events):
            if (self.ended and self.error_seen) or left <= 0:
                return
            if any(hint in event for hint in self._hints):
                name, data = self._read(event)
                left -= _OBJECT if data.startswith(b"{") else 1
                if data:
                    self._take(self._judge(name, data))

    def _read(self, event: bytes) -> tuple[bytes, bytes]:
        return _event(event) if self._events else (b"", event)

    def _take(self, sign: Sign) -> None:
        if sign is Sign.END:
            self.ended = True
        elif sign is Sign.ERROR:
            self.error_seen = True
        elif sign is Sign.ABORT:
            self.aborted = True


def top_level(data: bytes, *names: str) -> dict[str, bytes]:
    """Return the values of those members of a JSON object, or of its beginning, without empty ones."""
    try:
        found = splice.members(data, names)
    except splice.BodyError:
        return {}
    values = {name: data[field.start : field.end] for name, field in found.items()}
    return {name: value for name, value in values.items() if value not in _NOTHING}


def json_object(data: bytes) -> dict[str, object] | None:
    """Return the object in `data`; None for other JSON and for a partial object."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _event(text: bytes) -> tuple[bytes, bytes]:
    """Return name and data, as the WHATWG's standard reads an event whose line ends are LF."""
    name, data = b"", []
    for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n", _LINES):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value
        elif field == b"data":
            data.append(value)
        elif field == b"error":  # llama-server once had a field of that name
            name, data = b"error", [*data, value]
    return name, b"\n".join(data)

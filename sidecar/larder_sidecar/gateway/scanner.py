"""Scanner for the keys of a JSON object, window by window, without decoding it.

It cuts strings out of each window, counts brackets, and reads only strings that spell a wanted name. No
value is recursed into, and the work of each window is counted.
"""

import functools
import re

_BLANKS = rb"[ \t\n\r]{0,%d}" % (BLANK_BYTES := 65_535)
"""Limit for blanks in one place, where they would have to be skipped. Real bodies have fewer."""
_BLANK = (b" ", b"\t", b"\n", b"\r")
_BEGIN = re.compile(_BLANKS + rb"\{")
_COLON = re.compile(_BLANKS + b"(?:(:)" + _BLANKS + b")?")
_GOES_ON = re.compile(rb"[}\]][ \t\n\r]*[^ \t\n\r,}\]]")
"""Text after a closing bracket other than a comma or another bracket."""
_TOKEN = re.compile(rb'"[^"]*"?|[\[\]{}]')
_SCALAR = re.compile(rb"[^ \t\n\r,}\]]*")

WINDOW = 32 * 1024
"""Bytes that are scanned at a time: 1.5 ms at the worst that was found, 40 us for text."""
_NEAR = 64
"""Bytes before a quote in which escapes are looked for; more backslashes than that are scanned."""
_FIRST_WINDOW = 512
"""Size of the first window, doubled for each next one: a long text begins early in most bodies, and is skipped."""
_STRING_WORK, _CLOSE_WORK, _NAME_WORK, _ESCAPE_WORK = 20, 40, 600, 4
"""Work for a quote, a closing bracket, a string that spells a wanted name, and a byte where there are escapes, in bytes
of text."""
MAX_NAMES = 10_000
"""Limit for strings in one body that spell a wanted name, at any depth."""
_LONGEST_KEY = 80
"""Length of the longest wanted name if each letter is escaped, in bytes."""
VALUE_BYTES = 16_384
"""Limit for a value that is measured; a longer one is reported as one byte more, and no caller reads it."""


class BodyError(ValueError):
    """The error for a body that is not a JSON object with at most one model."""


class Reader:
    """Reads a body window by window, and carries depth and open strings from one to the next."""

    def __init__(self, body: bytes, names: tuple[str, ...], after: int = 0) -> None:
        """Take the body. `after`: index after the comma of a first member that has been read already."""
        begin = _BEGIN.match(body)
        if begin is None:
            raise _malformed("an object", 0)
        self._body = body
        self._names = _name_pattern(names)
        self.at = after or begin.end() - 1
        self._size = _FIRST_WINDOW
        self.work = 0
        self._depth = 1 if after else 0
        self._inside = False
        """True if `at` is inside a string."""
        self._quote = 0
        """Index of the next quote, escaped or not, once `at` is inside a string."""
        self._seen = 0

    def window(self) -> list[tuple[str, int]]:
        """Read one window; return the wanted names in it that are keys of the object, and where their values begin."""
        body, at = self._body, self.at
        if self._inside:
            at = self._skip(at)
        end = min(at + self._size, len(body))
        self._size = min(2 * self._size, WINDOW)
        text = bytes(body[at:end])
        if b"\\" in text:
            if end < len(body) and (len(text) - len(text.rstrip(b"\\"))) % 2:
                end -= 1
                text = text[:-1]
            text = mask_escapes(text)
            self.work += _ESCAPE_WORK * len(text)
        pieces = text.split(b'"')
        inside = self._inside != (len(pieces) % 2 == 0)
        if inside and end < len(body) and len(pieces) > 1 and len(pieces[-1]) <= _LONGEST_KEY:
            # The next window begins with this string, so that no name is split.
            cut = len(pieces.pop()) + 1
            text, end, inside = text[:-cut], end - cut, False
        self.work += len(text) + _STRING_WORK * len(pieces)
        outside = b'"'.join(pieces[self._inside :: 2])
        found = []
        closes = outside.count(b"}") + outside.count(b"]")
        if self._depth - closes <= 1:  # else the window is too deep for a key of the object itself
            if self._depth <= closes:
                self.work += _CLOSE_WORK * closes
                if _GOES_ON.search(outside):
                    msg = f"the body is not one JSON object, or goes on after it (before byte {end})"
                    raise BodyError(msg)
            found = self._keys(text, at)
        self._depth += outside.count(b"{") + outside.count(b"[") - closes
        self._inside, self.at = inside, end
        if self._depth < 1:
            self._ends()
        return found

    def _skip(self, at: int) -> int:
        """Go near the end of a long string, by memchr: images have megabytes."""
        body = self._body
        if self._quote < at:
            self._quote = body.find(b'"', at)
            if self._quote < 0:
                raise _malformed("the end of the string", at)
            self.work += (self._quote - at) >> 4
        if self._quote - at <= _NEAR:
            return at
        # Text before the backslashes before the quote is not part of an open escape.
        near = body[self._quote - _NEAR : self._quote]
        rest = len(near.rstrip(b"\\"))
        return self._quote - _NEAR + rest if rest else at

    def _keys(self, text: bytes, at: int) -> list[tuple[str, int]]:
        found = []
        done, depth, inside = 0, self._depth, self._inside
        for match in self._names.finditer(text):
            self._seen += 1
            self.work += _NAME_WORK
            if self._seen > MAX_NAMES:
                names = " or ".join(self._names.groupindex)
                msg = f"the body has more than {MAX_NAMES:,} members or strings that spell {names}"
                raise BodyError(msg)
            pieces = text[done : match.start()].split(b'"')
            outside = b"".join(pieces[inside::2])
            inside = inside != (len(pieces) % 2 == 0)
            depth += outside.count(b"{") + outside.count(b"[") - outside.count(b"}") - outside.count(b"]")
            done = match.start()
            if depth == 1 and not inside and (colon := _COLON.match(self._body, at + match.end())):
                if self._body[colon.end() : colon.end() + 1] in _BLANK:
                    msg = f"the body has more than {BLANK_BYTES:,} blanks after {match.lastgroup!r}"
                    raise BodyError(msg)
                if colon.group(1):
                    found.append((str(match.lastgroup), colon.end()))
        return found

    def _ends(self) -> None:
        """Refuse text after the object."""
        left = len(self._body) - self.at
        if self._depth or left > BLANK_BYTES or self._body[self.at :].strip(b" \t\r\n"):
            msg = f"the body goes on after the JSON object (byte {self.at})"
            raise BodyError(msg)
        self.at = len(self._body)

    def finish(self) -> None:
        """Refuse a body that does not end as an object does."""
        if self._inside or self._depth:
            raise _malformed("the end of the object", len(self._body))


def mask_escapes(text: bytes) -> bytes:
    """Replace escapes, so that each quote begins or ends a string; no wanted name has a `~`."""
    return text if b"\\" not in text else text.replace(b"\\\\", b"~~").replace(b'\\"', b"~~")


@functools.cache
def _name_pattern(names: tuple[str, ...]) -> re.Pattern[bytes]:
    """Return a pattern of all spellings of the names as JSON strings that Go accepts."""
    return re.compile(
        b'"(?:' + b"|".join(b"(?P<%b>%b)" % (n.encode(), b"".join(map(_letter, n))) for n in names) + b')"'
    )


def _letter(letter: str) -> bytes:
    # Unicode folds U+212A and U+017F to k and s.
    same = {letter, letter.upper(), *{"k": "\u212a", "s": "\u017f"}.get(letter, "")}
    plain = [re.escape(one.encode()) for one in sorted(same)]
    escaped = [b"".join(b"[%b]" % (d + d.upper()).encode() for d in f"{ord(one):04x}") for one in sorted(same)]
    return b"(?:" + b"|".join(plain) + rb"|\\u(?:" + b"|".join(escaped) + b"))"


def _malformed(wanted: str, at: int) -> BodyError:
    return BodyError(f"the body is not JSON: expected {wanted} at byte {at}")


def value_end(body: bytes, start: int) -> int:
    """Return the index after the value of any kind that begins at `start`."""
    text = mask_escapes(body[start : start + VALUE_BYTES + 1])
    end = len(text)
    if text[:1] in (b"{", b"["):
        depth = 0
        for token in _TOKEN.finditer(text):
            depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(token.group(), 0)
            if not depth:
                end = token.end()
                break
    elif text[:1] == b'"':
        end = text.find(b'"', 1) + 1 or end
    elif match := _SCALAR.match(text):
        end = match.end()
    return start + end

"""The values of a GGUF header, read from a file that may be hostile: bounded in time and memory."""

import struct
from typing import BinaryIO

from ..errors import GgufError

MAX_HEADER = 256 * 2**20
MAX_STRING = 16 * 2**20
MAX_NAME = 1024
"""Bytes of a key or tensor name that is read."""
MAX_KEPT = 256
"""Bytes of a string value that are kept: enough for a name, and to see that there is a chat template."""
MAX_STRINGS = 2_000_000
"""Strings in arrays, counted over the whole file: tokens and merges of one vocabulary."""

UINT32 = 4
_BOOL, _STRING, _ARRAY = 7, 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
"""Type of a value -> its letter in `struct`."""

Scalar = int | float | bool | str


class GgufReader:
    """A file that is read forward, never past its end nor past MAX_HEADER. Raises GgufError."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._limit, self._size = file, min(size, MAX_HEADER), size
        self.offset, self.strings = 0, 0

    def _claim(self, count: int, what: str) -> None:
        if self.offset + count > self._limit:
            where = "the end of the file" if self._limit == self._size else f"the header's limit of {MAX_HEADER} bytes"
            raise GgufError(f"GGUF: {what} at byte {self.offset} runs past {where}")
        self.offset += count

    def take(self, count: int, what: str) -> bytes:
        """Read the next bytes."""
        self._claim(count, what)
        content = self._file.read(count)
        if len(content) != count:
            raise GgufError(f"GGUF: the file ended while reading {what}")
        return content

    def skip(self, count: int, what: str) -> None:
        """Go past the next bytes."""
        self._claim(count, what)
        self._file.seek(count, 1)

    def number(self, code: str, what: str) -> int:
        """Read an integer; `code` is its letter in `struct`."""
        return int(struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}"), what))[0])

    def length(self, what: str, cap: int) -> int:
        """Read a length, which is at most `cap`."""
        count = self.number("Q", what)
        if count > cap:
            raise GgufError(f"GGUF: {what} of {count} is over the limit of {cap}")
        return count

    def name(self, what: str) -> bytes:
        """Read a key or the name of a tensor."""
        return self.take(self.length(f"length of {what}", MAX_NAME), what)

    def value(self, kind: int, key: str) -> Scalar | None:
        """Read a value of the type `kind`: a scalar, or None for an array, which is passed over."""
        if kind == _STRING:
            return self._start_of_text(key)
        if kind == _ARRAY:
            self._pass_array(key)
            return None
        if kind not in _SCALARS:
            raise GgufError(f"GGUF: {key} has the unknown value type {kind}")
        code = f"<{_SCALARS[kind]}"
        value: int | float = struct.unpack(code, self.take(struct.calcsize(code), key))[0]
        return bool(value) if kind == _BOOL else value

    def _start_of_text(self, key: str) -> str:
        length = self.length(f"length of {key}", MAX_STRING)
        start = self.take(min(length, MAX_KEPT), key)
        self.skip(length - len(start), key)
        return start.decode("utf-8", "replace")

    def _pass_array(self, key: str) -> None:
        kind, count = self.number("I", key), self.length(f"array {key}", MAX_HEADER)
        if kind in _SCALARS:
            self.skip(count * struct.calcsize(f"<{_SCALARS[kind]}"), key)
        elif kind == _STRING:
            self.strings += count
            if self.strings > MAX_STRINGS:
                raise GgufError(f"GGUF: {key} brings the strings in arrays over the limit of {MAX_STRINGS}")
            what = f"string of {key}"
            for _ in range(count):
                self.skip(self.length(what, MAX_STRING), what)
        else:
            raise GgufError(f"GGUF: {key} is an array of the unknown or nested type {kind}")

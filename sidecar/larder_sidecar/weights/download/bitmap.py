"""How far each piece of a part has come, in a small file beside it.

    {"etag": "\"abc\"", "size": 12582912, "length": 4194304, "have": [  4194304,    98304,        0]}

Counts have a fixed width: each is overwritten in place by one short write, after the bytes that it counts. A process
that is killed between the two loses a chunk of them. What is torn, or cannot be true, is not believed at all.
"""

import json
import os
import re
from pathlib import Path

from ..store import untrusted
from .pieces import LEAST, MOST, Pieces, most_pieces, piece_length

_WIDTH = 9
"""Digits of a count: a piece has fewer than 10^9 bytes."""
_HEAD = 1024
"""Bytes before the counts, at the most."""


class Journal:
    """The file, open. `etag` and `pieces` are what it says, or nothing where it says nothing that can be true."""

    def __init__(self, path: Path, size: int) -> None:
        self.etag: str | None = None
        self.pieces = Pieces(size, piece_length(size))
        self._file = untrusted.opened(path, os.O_RDWR | os.O_CREAT)
        self._table = 0
        self._read(size)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def restart(self, etag: str | None) -> None:
        """Nothing is here any more; the bytes to come carry `etag`."""
        self.etag = etag
        self.pieces.clear()
        facts = {"etag": etag, "size": self.pieces.size, "length": self.pieces.length}
        head = json.dumps(facts)[:-1] + ', "have": ['
        content = f"{head}{','.join(_count(number) for number in self.pieces.have)}]}}".encode()
        os.ftruncate(self._file, 0)
        _write(self._file, content, 0)
        self._table = len(head)

    def note(self, number: int) -> None:
        """Put down how far a piece has come."""
        _write(self._file, _count(self.pieces.have[number]).encode(), self._table + number * (_WIDTH + 1))

    def _read(self, size: int) -> None:
        # More would count other pieces than the smallest that this file can have.
        content = os.pread(self._file, _HEAD + (_WIDTH + 1) * most_pieces(size), 0)
        try:
            told = json.loads(content)
            etag, length, have = told["etag"], told["length"], told["have"]
            known = told["size"] == size and type(length) is int and LEAST <= length <= max(MOST, piece_length(size))
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        # Whoever can write here must not choose what is sent as a header.
        safe = etag is None or (isinstance(etag, str) and re.fullmatch(r'"[!-~]{0,200}"', etag))
        if not known or not safe or not isinstance(have, list):
            return
        table = content.rfind(b"[") + 1
        empty = Pieces(size, length)
        fixed = len(content) == table + len(empty.have) * (_WIDTH + 1) + 1
        if fixed and len(have) == len(empty.have) and all(_fits(it, empty.room(n)) for n, it in enumerate(have)):
            self.etag, self.pieces, self._table = etag, Pieces(size, length, have), table


def _fits(count: object, room: int) -> bool:
    return type(count) is int and 0 <= count <= room


def _count(number: int) -> str:
    return f"{number:{_WIDTH}}"


def _write(file: int, content: bytes, offset: int) -> None:
    while content:  # what fits is written, the next call says that the disk is full
        written = os.pwrite(file, content, offset)
        content, offset = content[written:], offset + written

"""Pieces of a file, and the journal of its downloaded bytes, in a small file next to the part.

    {"etag": "\"abc\"", "size": 12582912, "length": 4194304, "have": [  4194304,    98304,        0]}

Counts have a fixed width: each is overwritten in place by one short write, after the bytes that it counts. A kill
between the two loses one chunk. A journal that is torn or cannot be true is ignored.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..store import untrusted

MIN_PIECE, MAX_PIECE = 4 << 20, 32 << 20
"""Bytes of a piece. Smaller pieces cost requests, which hubs count, and save little time; larger pieces leave the hash,
which goes from the beginning to the end, far behind the download."""
_SHARE = 16
"""Pieces of a file of medium size."""
_AT_MOST = 1 << 16
"""Maximum number of pieces, so that no announced size makes a long list; 2 TiB have pieces of MAX_PIECE bytes."""
MAX_FILE = _AT_MOST * 999_999_999
"""Maximum size of a file: the journal's counts have nine digits."""


@dataclass(frozen=True)
class Piece:
    """A range of the file that one connection fetches; `start` is its first missing byte."""

    number: int
    start: int
    stop: int


def piece_length(size: int) -> int:
    """Return the bytes of each piece of a file of `size` bytes."""
    return max(min(MAX_PIECE, max(MIN_PIECE, -(-size // _SHARE))), -(-size // _AT_MOST))


def max_pieces(size: int) -> int:
    """Return the number of pieces of a file of `size` bytes if they are as small as allowed."""
    return min(_AT_MOST, max(1, -(-size // MIN_PIECE)))


class Pieces:
    """The pieces of a file: `counts[n]` bytes of piece n are here, from its beginning. It is not safe for threads."""

    def __init__(self, size: int, length: int, have: Sequence[int] = ()) -> None:
        self.size, self.length = size, length
        self.counts = list(have) or [0] * max(1, -(-size // length))
        self.held = sum(self.counts)
        self._taken: set[int] = set()
        self._first = 0

    def piece_size(self, number: int) -> int:
        """Return the bytes of a piece; the last one is shorter."""
        return min(self.length, self.size - number * self.length)

    @property
    def complete(self) -> bool:
        """Return True if every byte is here."""
        return self.held == self.size

    @property
    def front(self) -> int:
        """Return the bytes from the beginning of the file to the first gap."""
        while self._first < len(self.counts) - 1 and self.counts[self._first] == self.piece_size(self._first):
            self._first += 1
        return self._first * self.length + self.counts[self._first]

    def clear(self) -> None:
        """Reset all counts. Pieces that are taken stay taken."""
        self.counts, self.held, self._first = [0] * len(self.counts), 0, 0

    def take(self) -> Piece | None:
        """Take the first incomplete piece that is not taken; None if there is none."""
        for number in range(self._first, len(self.counts)):
            if number not in self._taken and self.counts[number] < self.piece_size(number):
                self._taken.add(number)
                begin = number * self.length
                return Piece(number, begin + self.counts[number], begin + self.piece_size(number))
        return None

    def release(self, piece: Piece) -> None:
        """Return a piece that was taken, complete or not."""
        self._taken.discard(piece.number)

    def add(self, offset: int, count: int) -> int:
        """Count `count` bytes at `offset`, the first gap of a piece; return the piece's number."""
        number = offset // self.length
        self.counts[number] += count
        self.held += count
        return number


_WIDTH = 9
"""Digits of a count: a piece has fewer than 10^9 bytes."""
_HEAD = 1024
"""Maximum bytes before the counts."""


class PieceJournal:
    """The journal of a part, open. `etag` and `pieces` are its content, or empty if it cannot be true."""

    def __init__(self, path: Path, size: int) -> None:
        self.etag: str | None = None
        self.pieces = Pieces(size, piece_length(size))
        self._file = untrusted.open_descriptor(path, os.O_RDWR | os.O_CREAT)
        self._table = 0
        self._read(size)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def restart(self, etag: str | None) -> None:
        """Reset the journal; the next bytes have `etag`."""
        self.etag = etag
        self.pieces.clear()
        facts = {"etag": etag, "size": self.pieces.size, "length": self.pieces.length}
        head = json.dumps(facts)[:-1] + ', "have": ['
        content = f"{head}{','.join(_count(number) for number in self.pieces.counts)}]}}".encode()
        os.ftruncate(self._file, 0)
        _write(self._file, content, 0)
        self._table = len(head)

    def write_count(self, number: int) -> None:
        """Write the count of a piece."""
        _write(self._file, _count(self.pieces.counts[number]).encode(), self._table + number * (_WIDTH + 1))

    def _read(self, size: int) -> None:
        # A longer journal would count more pieces than this file can have.
        content = os.pread(self._file, _HEAD + (_WIDTH + 1) * max_pieces(size), 0)
        try:
            journal = json.loads(content)
            etag, length, have = journal["etag"], journal["length"], journal["have"]
            known = (
                journal["size"] == size
                and type(length) is int
                and MIN_PIECE <= length <= max(MAX_PIECE, piece_length(size))
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        # Others may write this file, and must not choose a header that we send.
        safe = etag is None or (isinstance(etag, str) and re.fullmatch(r'"[!-~]{0,200}"', etag))
        if not known or not safe or not isinstance(have, list):
            return
        table = content.rfind(b"[") + 1
        empty = Pieces(size, length)
        fixed = len(content) == table + len(empty.counts) * (_WIDTH + 1) + 1
        if (
            fixed
            and len(have) == len(empty.counts)
            and all(_fits(it, empty.piece_size(n)) for n, it in enumerate(have))
        ):
            self.etag, self.pieces, self._table = etag, Pieces(size, length, have), table


def _fits(count: object, room: int) -> bool:
    return type(count) is int and 0 <= count <= room


def _count(number: int) -> str:
    return f"{number:{_WIDTH}}"


def _write(file: int, content: bytes, offset: int) -> None:
    while content:  # a full disk takes a part; the next call raises
        written = os.pwrite(file, content, offset)
        content, offset = content[written:], offset + written

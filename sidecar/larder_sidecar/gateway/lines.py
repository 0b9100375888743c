"""Whole lines of a stream: an error that follows half an event is read as a part of it, or not at all."""

LONGEST = 256 * 1024
"""Limit for an incomplete line in memory, in bytes; a longer one is passed on as it comes."""


class WholeLines:
    """Holds the end of a stream back until its line is whole."""

    __slots__ = ("_held", "_size", "broken")

    def __init__(self) -> None:
        """Begin at the beginning of a line."""
        self._held: list[bytes] = []
        self._size = 0
        self.broken = False
        """True if the beginning of the open line was passed on."""

    def take(self, piece: bytes) -> bytes:
        """Take the next bytes; return those to pass on."""
        if piece.endswith(b"\n") and not self._held:  # as engines write
            self.broken = False
            return piece
        end = piece.rfind(b"\n") + 1 or piece.rfind(b"\r") + 1
        if end:
            whole, piece = self.rest() + piece[:end], piece[end:]
            self.broken = False
        else:
            whole = b""
        if not piece:
            return whole
        if not self.broken:
            self._held.append(piece)
            self._size += len(piece)
            if self._size < LONGEST:
                return whole
            self.broken = True
            piece = self.rest()
        return whole + piece

    def rest(self) -> bytes:
        """Return the bytes that were held back, and hold them no longer."""
        held, self._held, self._size = self._held, [], 0
        return b"".join(held)

"""The bearer token that every change needs."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from pathlib import Path

_TOKEN = re.compile(rb"[!-~]{16,1024}")
_BEARER = re.compile(rb"bearer +([!-~]{1,2048})", re.IGNORECASE)


class TokenError(Exception):
    """There is no token to compare with. The message never quotes what is there instead."""


class Token:
    """The token in a file, read anew for each comparison: a Secret that is renewed needs no new pod."""

    def __init__(self, file: Path) -> None:
        """Take the file. Raises TokenError: no port opens without a token."""
        self._file = file
        self._digest()

    def admits(self, headers: Sequence[bytes]) -> bool:
        """Tell if these Authorization headers are exactly one, with the expected token. Raises TokenError."""
        expected = self._digest()
        match = _BEARER.fullmatch(headers[0]) if len(headers) == 1 else None
        # Digests have one length, and the comparison takes one time, whatever was sent.
        return hmac.compare_digest(hashlib.sha256(match[1] if match else b"").digest(), expected)

    def _digest(self) -> bytes:
        try:
            with self._file.open("rb") as file:
                token = file.read(4096).strip()
        except OSError as reason:
            msg = f"token-file: {self._file}: {reason.strerror}. Fix: mount Secret larder-api-token, key token"
            raise TokenError(msg) from None
        if not _TOKEN.fullmatch(token):
            msg = (
                f"token-file: {self._file} contains no token. Fix: set key token of Secret larder-api-token to a word "
                "of 16 to 1024 printable ASCII characters, as `openssl rand -hex 32` prints it"
            )
            raise TokenError(msg)
        return hashlib.sha256(token).digest()

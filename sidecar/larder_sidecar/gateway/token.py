"""The bearer token that requests must show which change something."""

import hashlib
import hmac
from pathlib import Path


class TokenError(Exception):
    """There is no token, so the gateway cannot start; one line."""


class Token:
    """A file with the token, read again for every look: a Secret that is renewed is in force at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            empty = not self._read()
        except OSError as reason:
            msg = f"{path}: the token cannot be read ({reason.strerror}); mount Secret larder-api-token, key token"
            raise TokenError(msg) from reason
        if empty:
            msg = f"{path}: holds no token, so everybody could pull; put one into Secret larder-api-token"
            raise TokenError(msg)

    def admits(self, authorization: bytes) -> bool:
        """Whether the header `Authorization: Bearer …` shows it. Takes equally long for any wrong token."""
        scheme, _, shown = authorization.partition(b" ")
        try:
            expected = self._read()
        except OSError:
            return False
        same = hmac.compare_digest(_digest(shown.strip()), _digest(expected))
        return bool(expected) and same and scheme.lower() == b"bearer"

    def _read(self) -> bytes:
        return self._path.read_bytes().strip()


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()

"""Filters for headers that cross the gateway, in each direction."""

import functools
from urllib.parse import quote

from .request import Headers

# RFC 9110 7.6.1; old clients send Proxy-Connection and Keep-Alive.
_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"content-length",
        b"x-request-id",
    )
)
_REMEMBERED = 512
_SAFE = "".join(map(chr, range(0x20, 0x7F)))


class Filter:
    """Filter for one direction: drops some names and prefixes, and the names in `Connection`."""

    def __init__(
        self, dropped: frozenset[bytes], prefixes: tuple[bytes, ...], kept: frozenset[bytes] = frozenset()
    ) -> None:
        self._dropped = _HOP_BY_HOP | dropped
        self._kept = kept
        self._prefixes = (b"proxy-", b"x-larder-", b"access-control-", *prefixes)
        self._known: dict[bytes, bool] = {}

    def lines(self, headers: Headers) -> list[bytes]:
        """Return `name: value` with a line end for each header that passes."""
        known = self._known
        named: tuple[bytes, ...] = ()
        out = []
        for name, value in headers:
            keep = known.get(name)
            if keep is None:
                keep = self._decide(name)
            if keep:
                out.append(b"%b: %b\r\n" % (name, value))
            elif name == b"connection" and (options := value.lower()) not in (b"keep-alive", b"close"):
                named += tuple(option.strip() + b": " for option in options.split(b",") if option.strip())
        return [line for line in out if not line.startswith(named)] if named else out

    def _decide(self, name: bytes) -> bool:
        keep = name in self._kept or (name not in self._dropped and not name.startswith(self._prefixes))
        if len(self._known) < _REMEMBERED:  # clients may invent names
            self._known[name] = keep
        return keep


TO_ENGINE = Filter(
    frozenset(
        (
            b"host",
            b"expect",
            b"authorization",
            b"cookie",
            b"x-api-key",  # Anthropic's clients
            b"api-key",  # Azure's
            b"forwarded",
            b"x-real-ip",
            b"accept-encoding",  # the end of a compressed stream could not be detected; loopback needs no compression
            b"origin",  # Ollama answers 403 to unknown origins; origins.py judges them here
        )
    ),
    (b"x-forwarded-", b"sec-fetch-"),
)
"""Filter to the engine: no hop-by-hop header, no credential, no trace of proxies."""
TO_CLIENT = Filter(frozenset(), ())
FROM_GATEWAY = Filter(frozenset(), (), frozenset((b"x-larder-cache", b"x-larder-queue-ms")))
"""Headers of an answer from the gateway in an engine's pod that say how the request met its model."""


def printable(text: str) -> str:
    """Return `text` with escapes for bytes that are not characters, as in names of files that are not UTF-8."""
    return text.encode(errors="backslashreplace").decode()


@functools.lru_cache(maxsize=256)
def header_value(text: str) -> bytes:
    """Return `text` as a header value: percent-encoded if it is not printable ASCII."""
    if text.isascii() and text.isprintable():
        return text.encode()
    return quote(text.encode(errors="surrogatepass"), safe=_SAFE).encode()


def render(headers: Headers) -> bytes:
    """Return `name: value` lines."""
    return b"".join([b"%b: %b\r\n" % item for item in headers])

"""Which headers cross the gateway, in each direction."""

from .request import Headers

# RFC 9110 7.6.1; Proxy-Connection and Keep-Alive are what old clients send.
_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"content-length",
    )
)
_REQUEST_DROPPED = _HOP_BY_HOP | {
    b"host",
    b"expect",
    b"authorization",
    b"cookie",
    b"x-api-key",  # Anthropic's clients
    b"api-key",  # Azure's
    b"forwarded",
    b"x-real-ip",
    b"x-request-id",  # said anew
    b"accept-encoding",  # a compressed stream could not be watched for its end; over loopback it gains nothing
    b"origin",  # Ollama answers 403 to origins it does not know: browsers are the gateway's matter
}
_REQUEST_PREFIXES = (b"x-forwarded-", b"proxy-", b"x-larder-", b"access-control-")
_RESPONSE_DROPPED = _HOP_BY_HOP | {b"x-request-id"}
_RESPONSE_PREFIXES = (b"proxy-", b"x-larder-", b"access-control-")


def _kept(headers: Headers, dropped: frozenset[bytes], prefixes: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    for name, value in headers:
        if name == b"connection" and value.lower() not in (b"keep-alive", b"close"):
            dropped = dropped.union(token.strip() for token in value.lower().split(b","))
    return [item for item in headers if item[0] not in dropped and not item[0].startswith(prefixes)]


def to_engine(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The client's headers that the engine sees: no hop-by-hop ones, no credentials, nothing about who forwarded it."""
    return _kept(headers, _REQUEST_DROPPED, _REQUEST_PREFIXES)


def to_client(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The engine's headers that the client sees."""
    return _kept(headers, _RESPONSE_DROPPED, _RESPONSE_PREFIXES)


def render(headers: Headers) -> bytes:
    """`name: value` lines."""
    return b"".join([b"%b: %b\r\n" % item for item in headers])

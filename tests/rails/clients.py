"""Connections of clients, made from the seeds of tests/fuzz; the same number makes the same ones."""

import random
from collections.abc import Iterator

from tests.fuzz.gateways import BODIES, BODY_TOKENS, HTTP, HTTP_TOKENS
from tests.fuzz.mutation import mutated

BLOCK = 2_000
"""Connections that the generator makes from one number."""
Writes = tuple[bytes, ...]
"""Parts that a client sends on one connection, each after something has come back."""
_LONGEST = 4096
PATHS = (
    *(
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/responses",
        "/v1/messages",
    ),
    *(
        "/v1/messages/count_tokens",
        "/v1/rerank",
        "/tokenize",
        "/infill",
        "/api/chat",
        "/api/generate",
    ),
    *(
        "/api/embed",
        "/api/show",
        "/api/llm/route",
    ),
)
OTHERS = (
    *(
        "/api/llm/preload",
        "/api/llm/unload",
        "/api/llm/pin",
        "/v1/generate",
        "/v1/api/pull",
        "/api/pull",
    ),
    *(
        "/api/blobs/sha256:0",
        "/props",
        "/v1/chat/completions/",
        "/V1/chat/completions",
    ),
    *(
        "//v1/chat/completions",
        "/v1/chat/completions?a=b",
        "/v1/responses?%20x#y",
    ),
)
GETS = (
    *(
        "/",
        "/ui",
        "/v1/models",
        "/v1/models/tiny",
        "/v1/models/a%2Fb",
        "/api/tags",
        "/api/ps",
        "/api/version",
    ),
    *(
        "/v1/health",
        "/metrics",
        "/slots",
        "/favicon.ico",
    ),
)
NAMES = (
    b"tiny",
    b"tiny",
    b"phi-3-mini",
    b"TINY:Q4",
    b"gpt-4o",
    b"phi-3-mini",
    b"Phi3",
    b"auto",
    b"nobody",
    b"",
    b"a:cloud",
)
HEADERS = (
    b"Content-Type: application/json\r\n",
    b"Origin: https://a.example\r\n",
    b"Origin: https://evil.example\r\nSec-Fetch-Mode: cors\r\n",
    b"Authorization: Bearer abc\r\nCookie: a=b\r\nX-Api-Key: k\r\n",
    b"X-Request-Id: mine-1\r\n",
    b"X-Request-Id: a b\r\nX-Larder-Model: tiny\r\nX-Forwarded-For: 1.2.3.4\r\n",
    b"Accept-Encoding: gzip\r\nUser-Agent: u\r\nTE: trailers\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, X-Kept\r\nX-Kept: 1\r\n",
    b"anthropic-version: 2023-06-01\r\n",
)
LAST = b"GET /v1/models/tiny HTTP/1.1\r\nHost: z\r\nConnection: close\r\n\r\n"
"""Request after which the gateway closes the connection at the latest."""


def connections(seed: str, block: int) -> Iterator[Writes]:
    """Yield the connections of a block."""
    chance = random.Random(f"{seed}/{block}")
    for _ in range(BLOCK):
        pieces = [_request(chance)[:_LONGEST] for _ in range(chance.choice((1, 1, 1, 2, 3)))]
        match chance.randrange(24):
            case 0 | 1 | 2:  # it waits for an answer after each request
                yield (*pieces, LAST)
            case 3:  # it says nothing more: what is not whole ends by a deadline
                yield (b"".join(pieces),)
            case _:
                yield (b"".join(pieces) + LAST,)


def _request(chance: random.Random) -> bytes:
    kind = chance.randrange(8)
    if kind == 0:
        return mutated(chance, HTTP, HTTP_TOKENS)
    if kind == 1:
        return mutated(chance, [_whole(chance, _body(chance))], [*HTTP_TOKENS, *HEADERS])
    if kind == 2:
        return _whole(chance, mutated(chance, BODIES, BODY_TOKENS))
    return _whole(chance, _body(chance))


def _body(chance: random.Random) -> bytes:
    """Return a body that is usually valid, so that it reaches the engine."""
    body = chance.choice(BODIES)
    if chance.getrandbits(2):
        words = (b"hi", b"write a class", b"x" * chance.randrange(40), b"%d" % chance.getrandbits(20))
        body = b'{"model":"%b","stream":%b,"messages":[{"role":"user","content":"%b"}],"prompt":"%b"}' % (
            chance.choice(NAMES),
            chance.choice((b"true", b"false")),
            chance.choice(words),
            chance.choice(words),
        )
    return body


def _whole(chance: random.Random, body: bytes) -> bytes:
    """Return a request with valid framing."""
    headers = b"".join(chance.sample(HEADERS, chance.choice((0, 1, 1, 2, 3))))
    if not chance.randrange(6):
        method = chance.choice((b"GET", b"GET", b"HEAD", b"OPTIONS", b"DELETE"))
        return b"%b %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (method, chance.choice(GETS).encode(), headers)
    path = chance.choice(PATHS if chance.randrange(6) else OTHERS).encode()
    if not chance.randrange(5):
        framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        return b"POST %b HTTP/1.1\r\nHost: x\r\n%bTransfer-Encoding: chunked\r\n\r\n%b" % (path, headers, framed)
    return b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (path, headers, len(body), body)

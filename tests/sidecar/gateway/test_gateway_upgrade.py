"""Offers of another protocol are ignored at any cut of the network, before and after other requests."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.gateway.serve import Running

from tests.sidecar.gateway.conftest import CHAT
from tests.sidecar.gateway.scripted import PROPERTY, Engine, connect, request
from tests.sidecar.gateway.test_gateway_framing import cut, served

H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
WEBSOCKET = "Upgrade: websocket\r\nConnection: keep-alive\r\nSec-WebSocket-Version: 13\r\nConnection: upgrade\r\n"
CHUNKED = b"5\r\nhello\r\n3;x=y\r\nyou\r\n0\r\n\r\n"


def message(line: str, headers: str = "", body: bytes = b"") -> bytes:
    return f"{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode() + body


KINDS = {
    "plain": message("GET /a"),
    "plain with a body": message("POST /a", "Content-Length: 5\r\n", b"hello"),
    "plain and chunked": message("POST /a", "Transfer-Encoding: chunked\r\n", CHUNKED),
    "line ends before it": b"\r\n\r\n" + message("GET /a"),
    "refused": message("POST /missing", "Content-Length: 5\r\n", b"hello"),
    "offer": message("GET /b", H2C),
    "offer with a body": message("POST /b", H2C + "Content-Length: 5\r\n", b"hello"),
    "offer with an empty body": message("POST /b", "Content-Length: 0\r\n" + H2C),
    "offer and chunked": message("POST /b", H2C + "Transfer-Encoding: chunked\r\n", CHUNKED),
    "offer, chunked, a tab": message("POST /b", "Transfer-Encoding: chunked\t \r\n" + WEBSOCKET, CHUNKED),
    "offer that is refused": message("POST /missing", H2C + "Content-Length: 5\r\n", b"hello"),
    "offer in HTTP/1.0": b"GET /b HTTP/1.0\r\nConnection: keep-alive, upgrade\r\nUpgrade: h2c\r\n\r\n",
    "offer of a body that is one": message("POST /b", H2C + f"Content-Length: {len(message('GET /c', H2C))}\r\n")
    + message("GET /c", H2C),
    "a value like a request": message(
        "POST /a", "X-Note: POST /evil HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n"
    ),
    "a value like an offer": message("GET /a", "X-Note: Upgrade: h2c\r\nConnection: upgrade\r\n"),
    "upgrade without an offer": message("GET /a", "Upgrade: h2c\r\n"),
    "a trailer like an offer": message(
        "POST /a", "Transfer-Encoding: chunked\r\n", CHUNKED[:-2] + H2C.encode() + b"\r\n"
    ),
    "a trailer that closes": message(
        "POST /a", "Transfer-Encoding: chunked\r\n", CHUNKED[:-2] + b"Connection: close\r\n\r\n"
    ),
    "a trailer with a length": message(
        "POST /a", "Transfer-Encoding: chunked\r\n", CHUNKED[:-2] + b"Content-Length: 9\r\n\r\n"
    ),
}
ENDS = {
    "": b"",
    "the last": message("GET /z", "Connection: close\r\n") + message("GET /never"),
    "an offer that is the last": message("GET /z", "Connection: close, upgrade\r\nUpgrade: h2c\r\n")
    + message("GET /never"),
    "CONNECT": message("CONNECT evil:443") + message("GET /never"),
    "CONNECT with a body": message("CONNECT evil:443", H2C + "Content-Length: 5\r\n", b"hello") + message("GET /never"),
    "no offer": message("GET /z", H2C + "A B: c\r\n") + message("GET /never"),
    "two lengths": message("POST /z", H2C + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", CHUNKED),
    "an unknown coding": message("POST /z", H2C + "Transfer-Encoding: gzip\r\n", CHUNKED) + message("GET /never"),
    "half an offer": message("GET /z", H2C)[:-1],
}


@PROPERTY
@given(data=st.data())
def test_a_connection_is_read_in_the_same_way_however_it_is_cut(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=6))
    stream = b"".join(KINDS[kind] for kind in kinds) + ENDS[data.draw(st.sampled_from(sorted(ENDS)))]
    at = data.draw(st.sets(st.integers(1, max(1, len(stream) - 1))))
    expected = served([stream])
    assert served(cut(stream, at), pauses=data.draw(st.booleans())) == expected
    assert served(cut(stream, set(range(len(stream))) - {0})) == expected
    assert b"never" not in expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pauses", [False, True])
def test_no_single_cut_changes_what_is_read(kind: str, pauses: bool) -> None:
    stream = KINDS[kind] + message("GET /next")
    expected = served([stream])
    assert expected.count(b"HTTP/1.1 ") == 2
    assert b"GET|/next" in expected
    for at in range(1, len(stream)):
        assert served(cut(stream, {at}), pauses=pauses) == expected, stream[:at]


@pytest.mark.parametrize(
    ("first", "second"), list(itertools.product(["plain", "refused", "offer with a body"], repeat=2))
)
def test_a_request_before_an_offer_is_answered_too(first: str, second: str) -> None:
    stream = KINDS[first] + KINDS[second] + KINDS["offer"]
    assert served([stream]).count(b"HTTP/1.1 ") == 3


async def test_the_engine_gets_a_request_with_an_offer_as_any_other(gateway: Running, engine: Engine) -> None:
    body = b'{"model":"tiny"}'
    plain = request(CHAT, body, "Authorization: Bearer x\r\nAccept: a/b\r\n")
    offer = request(CHAT, body, H2C + "Authorization: Bearer x\r\nAccept: a/b\r\n")
    head = offer.index(b"\r\n\r\n")
    for pieces in ([plain], [offer], [offer[:60], offer[60:]], [offer[:head], offer[head:]], [offer + offer]):
        async with connect(gateway.port) as client:
            for piece in pieces:
                await client.send(piece)
                await client.writer.drain()
            for _ in range(pieces[0].count(b"POST ")):
                assert (await client.response()).status == 200
    heads = {
        received.head.split(b"x-request-id")[0] + received.head.partition(b"\r\nx-request-id: ")[2][30:]
        for received in engine.requests
    }
    assert len(engine.requests) == 6
    assert all(received.body == body.replace(b"tiny", b"tiny:q4") for received in engine.requests)
    assert not any(b"upgrade" in head.lower() or b"http2" in head.lower() for head in heads)


async def test_a_value_never_becomes_a_request_line(gateway: Running, engine: Engine) -> None:
    body = b'{"model":"tiny"}'
    offer = f"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: {len(body)}\r\n\r\n"
    async with connect(gateway.port) as client:
        await client.send(f"POST {CHAT} HTTP/1.1\r\nX-Note: ".encode())
        await client.send(f"POST /v1/embeddings HTTP/1.1\r\nHost: a\r\n{offer}".encode() + body)
        assert (await client.response()).status == 200
    assert [received.line for received in engine.requests] == [f"POST {CHAT} HTTP/1.1"]

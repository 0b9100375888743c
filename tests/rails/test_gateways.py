"""Two gateways side by side: equal ones show no difference; a changed byte to a client or an engine is reported."""

import itertools
from pathlib import Path

import pytest

from tests.rails import clients, gateways, sides
from tests.rails.conftest import change
from tests.rails.trees import Tree, here

BODY = b'{"model":"tiny","stream":true,"messages":[{"role":"user","content":"hi"}]}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\nContent-Length: %d\r\n\r\n" % len(BODY)
CHATS = [(HEAD + BODY + clients.LAST,), (HEAD, BODY), (clients.LAST,)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the timeouts of incomplete input: no crowd slows the machine here."""
    for name in ("header-seconds", "body-seconds", "idle-seconds"):
        monkeypatch.setitem(sides.LIMITS, name, 0.5)
    monkeypatch.setattr(gateways, "_SHRINKING", 10.0)


async def _found(changed: Tree, sent: list[clients.Writes], folder: Path) -> list[str]:
    async with (
        sides.running(here(), "ollama", folder / "before") as before,
        sides.running(changed, "ollama", folder / "after") as after,
    ):
        return [str(found) for found in await gateways.Pair("ollama", before, after).differences(sent)]


async def test_the_same_gateway_twice_shows_no_difference(tmp_path: Path) -> None:
    sent = list(itertools.islice(clients.connections("0", 0), 200))
    async with (
        sides.running(here(), "ollama", tmp_path / "a") as one,
        sides.running(here(), "ollama", tmp_path / "b") as other,
    ):
        assert await gateways.Pair("ollama", one, other).differences(sent) == []
        answers = await one.answers(sent)
        assert sum(b"HTTP/1.1 200" in answer for answer in answers) > 50
        assert len(one.engine.taken()) > 20
        names = await sides.metric_names(one)
        assert names == await sides.metric_names(other)
    assert names["larder_requests_total"] == ["counter", "code", "model", "operation"]
    assert names["gen_ai_server_request_duration_seconds"] == ["histogram"]


async def test_a_changed_byte_to_a_client_is_reported_with_the_shortest_input(changed: Tree, tmp_path: Path) -> None:
    change(changed, '"object": "model"', '"object": "models"')
    (found,) = await _found(changed, [CHATS[0]], tmp_path)
    assert "before b'" in found
    assert '"object": "model"' in found
    assert '"object": "models"' in found
    assert "/v1/chat/completions" not in found  # it went while the input was shortened
    assert "/v1/models" in found


async def test_a_changed_byte_to_an_engine_is_reported(changed: Tree, tmp_path: Path) -> None:
    change(changed, 'b"cookie"', 'b"cookies"')
    (found,) = await _found(changed, [*CHATS[2:], CHATS[0]], tmp_path)
    assert "after  [b'POST /v1/chat/completions HTTP/1.1" in found
    assert "\\r\\ncookie: a=b\\r\\n" in found.partition("after")[2]
    assert "cookie" not in found.partition("before")[2].partition("after")[0]


def test_ids_times_and_the_cuts_of_a_body_are_no_difference() -> None:
    head = b"HTTP/1.1 200 OK\r\ndate: %b\r\nx-request-id: req-%012x-%d\r\ntransfer-encoding: chunked\r\n\r\n"
    one = head % (b"Mon", 7, 1) + b"3\r\nabc\r\n0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    other = head % (b"Tue", 8, 2) + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    assert sides.plain(one) == sides.plain(other)
    for changed in (other.replace(b"bc", b"bd"), other.replace(b"req-", b"id-"), other.replace(b"0\r\n\r\n", b"")):
        assert sides.plain(changed) != sides.plain(one)


def test_the_words_of_an_error_count_unless_they_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b'HTTP/1.1 400 Bad Request\r\ncontent-length: %d\r\n\r\n{"error": {"message": "%b", "code": "%b"}}'
    one, other, changed = answer % (9, b'no \\"a\\"', b"x"), answer % (8, b"none", b"x"), answer % (8, b"none", b"y")
    assert sides.plain(one) != sides.plain(other)
    monkeypatch.setenv("TEXTS", "1")
    assert sides.plain(one) == sides.plain(other) != sides.plain(changed)


def test_connections_are_the_same_for_the_same_number() -> None:
    first, again, other = (list(clients.connections(seed, 1)) for seed in ("0", "0", "1"))
    assert first == again != other
    assert len(first) == clients.BLOCK

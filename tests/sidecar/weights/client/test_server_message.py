"""A server's words about a refusal, in one line without secrets."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.weights.client.server_message import MAX_MESSAGE, read_message
from urllib3 import HTTPHeaderDict

XML = (
    b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code><Message>Request has expired &amp; more</Message></Error>'
)
WORDS: dict[str, tuple[dict[str, str], bytes, str]] = {
    "a hub": (
        {"x-error-code": "GatedRepo", "x-error-message": "Access is restricted."},
        b"",
        "GatedRepo: Access is restricted.",
    ),
    "a hub without a code": ({"X-Error-Message": "Turn it on."}, b"{}", "Turn it on."),
    "a registry": ({}, b'{"errors":[{"code":"DENIED","message":"no","detail":{}}]}', "DENIED: no"),
    "a registry of numbers": ({}, b'{"errors":[{"status":403,"message":"Forbidden by rule"}]}', "Forbidden by rule"),
    "a token service": ({}, b'{"details":"incorrect username or password"}', "incorrect username or password"),
    "an API": ({}, b'{"error":"not yours"}', "not yours"),
    "an API of OpenAI's shape": ({}, b'{"error":{"code":"x","message":"not yours"}}', "x: not yours"),
    "a storage": ({"Content-Type": "application/xml"}, XML, "AccessDenied: Request has expired & more"),
    "a page": ({"Content-Type": "text/html"}, b"<html><TITLE>\n Access  denied</TITLE>", "Access denied"),
    "plain text": ({"Content-Type": "text/plain"}, b"error code: 1020", "error code: 1020"),
    "bytes": ({"Content-Type": "application/octet-stream"}, b"\0\1", ""),
    "nothing": ({}, b"", ""),
    "broken JSON": ({"Content-Type": "application/json"}, b'{"errors":', ""),
    "deep JSON": ({}, b"[" * 9000, ""),
    "control characters": ({"X-Error-Message": "a\x1b[31m\r\nb\u202e"}, b"", "a [31m b"),
    "a signed URL": ({"X-Error-Message": "see https://me:pw@cdn/x?sig=abc now"}, b"", "see https://cdn/x now"),
    "a signed URL in capitals": ({"X-Error-Message": "see HTTPS://cdn/x?sig=abc now"}, b"", "see HTTPS://cdn/x now"),
    **{
        f"a query that begins with {first}": (
            {"X-Error-Message": f"https://h/x?{first}tok=abc now"},
            b"",
            "https://h/x now",
        )
        for first in "$~/[!*("
    },
    "a signed path": ({"Content-Type": "text/plain"}, b"no /x?sig=abc&e=%3D on this host", "no /x on this host"),
    "a signed path in quotes": ({}, b'{"message":"no \'/x?sig=abc\' here"}', "no '/x' here"),
    "a password in a URL": ({"X-Error-Message": "see https://me:pw@cdn/x now"}, b"", "see https://cdn/x now"),
    "a question": ({"X-Error-Message": "Who are you? Log in."}, b"", "Who are you? Log in."),
    "our token": ({"X-Error-Message": "hf_secret is not good"}, b"", "*** is not good"),
}


@pytest.mark.parametrize(("headers", "body", "words"), WORDS.values(), ids=WORDS.keys())
def test_a_server_is_quoted(headers: dict[str, str], body: bytes, words: str) -> None:
    assert read_message(HTTPHeaderDict(headers), body, ["hf_secret", ""]) == words


@given(
    st.binary(max_size=400), st.text(max_size=400), st.sampled_from(["text/html", "text/plain", "", "application/json"])
)
def test_any_answer_makes_one_short_line(body: bytes, message: str, kind: str) -> None:
    for headers in ({"Content-Type": kind}, {"X-Error-Message": message * 10}):
        line = read_message(headers, body)
        assert len(line) <= MAX_MESSAGE
        assert line.isprintable()


@pytest.mark.parametrize(
    "unit", [b"<title", b"<Code>a", b"https://", b"https://a@", b"https://a?", b"<title>a", b'{"a":', b" "]
)
@pytest.mark.parametrize("kind", ["text/html", "text/plain"])
def test_a_hostile_body_costs_little(unit: bytes, kind: str) -> None:
    began = time.thread_time()
    read_message({"Content-Type": kind}, unit * 100_000)
    read_message({"X-Error-Message": unit.decode() * 10_000}, b"")
    assert time.thread_time() - began < 0.2

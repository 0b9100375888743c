"""Extraction of the user's last message, from a request of any API."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.config.routing import Endpoint
from larder_sidecar.routing.prompt import FIELDS, Prompt, last_prompt

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
USER = {"role": "user", "content": "first"}
TOOL = {"role": "user", "content": [{"type": "tool_result", "content": "42"}]}
PARTS = [
    {"type": "text", "text": "one"},
    {"type": "image_url", "image_url": {"url": "data:…"}},
    {"type": "input_text", "text": "two"},
    {"type": "text", "text": 3},
    "four",
]
CASES: list[tuple[str, dict[str, Any], str | None]] = [
    (CHAT, {"messages": [USER, {"role": "assistant", "content": "no"}, {"role": "user", "content": "last"}]}, "last"),
    (CHAT, {"messages": [USER, {"role": "tool", "content": "no"}]}, "first"),
    (MESSAGES, {"messages": [USER, {"role": "assistant", "content": []}, TOOL]}, "first"),
    (CHAT, {"messages": [{"role": "user", "content": PARTS}]}, "one\ntwo"),
    (CHAT, {"messages": [{"role": "user", "content": ""}]}, ""),
    (CHAT, {"messages": [{"role": "system", "content": "no"}]}, None),
    (CHAT, {"messages": [{"role": "user", "content": None}]}, None),
    (CHAT, {"messages": []}, None),
    (CHAT, {"messages": None, "prompt": "no"}, None),
    ("/api/chat", {"Messages": [USER]}, "first"),
    ("/v1/completions", {"prompt": "a", "messages": [USER]}, "a"),
    ("/v1/completions", {"prompt": ["a", "b"]}, "a\nb"),
    ("/v1/completions", {"prompt": [1, 2]}, None),
    ("/api/generate", {"keep_alive": 0}, None),
    (RESPONSES, {"input": "a"}, "a"),
    (RESPONSES, {"input": [{"role": "user", "content": PARTS}]}, "one\ntwo"),
    ("/v1/embeddings", {"input": ["a", "b"]}, "a\nb"),
    ("/api/embed", {"input": 5}, None),
]


@pytest.mark.parametrize(("endpoint", "body", "text"), CASES, ids=[json.dumps(body)[:60] for _, body, _ in CASES])
def test_the_last_text_of_the_user_is_found(endpoint: str, body: dict[str, Any], text: str | None) -> None:
    found = last_prompt(endpoint, json.dumps(body).encode())
    assert found == (Prompt(None, "the request has no text of the user") if text is None else Prompt(text))


def test_every_path_with_a_prompt_says_where_it_is() -> None:
    assert FIELDS.keys() == set(get_args(Endpoint))


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages": [{"role": "user", "content": "caf\xe9"}]}',
        b'{"messages": [{"role": "user", "content": "caf\n"}]}',
        b'{"seed": ' + b"9" * 5000 + b', "messages": [{"role": "user", "content": "caf"}]}',
    ],
    ids=["latin-1", "control", "digits"],
)
def test_input_that_an_engine_accepts_is_read(body: bytes) -> None:
    assert (last_prompt(CHAT, body).text or "").startswith("caf")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "the body is not readable JSON"),
        (b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "the body is not readable JSON"),
        (b"[]", "the request has no text of the user"),
        (b'{"a": "' + b"x" * 2**23 + b'"}', "the body is too large to be read"),
        (b'{"a": [1' + b",1" * 50_001 + b"]}", "the body is too large to be read"),
    ],
    ids=["cut", "deep", "list", "bytes", "values"],
)
def test_a_request_without_text_has_a_reason(body: bytes, says: str) -> None:
    assert last_prompt(CHAT, body) == Prompt(None, says)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4))
MESSAGE = st.dictionaries(st.sampled_from(["role", "content", "type", "text"]), JSON | st.just("user"))


@given(
    st.sampled_from(sorted(FIELDS)),
    st.dictionaries(st.sampled_from(["messages", "input", "prompt"]), st.lists(MESSAGE | JSON, max_size=5) | JSON),
)
def test_any_content_of_the_fields_is_answered(endpoint: str, body: dict[str, Any]) -> None:
    found = last_prompt(endpoint, json.dumps(body).encode())
    assert (found.text is None) == bool(found.missing)

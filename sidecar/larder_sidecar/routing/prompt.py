"""Extraction of the user's last message from a request of any of the APIs."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..config.routing import Endpoint

FIELDS: Mapping[Endpoint, str] = {
    "/v1/chat/completions": "messages",
    "/v1/messages": "messages",
    "/v1/messages/count_tokens": "messages",
    "/v1/chat/completions/input_tokens": "messages",
    "/api/chat": "messages",
    "/v1/responses": "input",
    "/v1/responses/input_tokens": "input",
    "/v1/embeddings": "input",
    "/api/embed": "input",
    "/v1/completions": "prompt",
    "/api/generate": "prompt",
    "/api/embeddings": "prompt",
}
"""Members that hold the prompt, by the path of the request."""
READ_WORK = 5 * 2**20
"""Limit for the work on a body, in bytes of plain text; a larger one is not read. The worst found takes 12 ms."""
_COMMA_WORK, _ESCAPE_WORK = 120, 4
REPLACED_BYTES = 256 * 1024
"""Limit for a body with invalid UTF-8; a longer one is read byte by byte: replacement takes eight times as long."""
TEXT_PARTS = ("text", "input_text")
"""Types of the text parts of a message; others are images, files and results of tools."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The text, or the reason why there is none."""

    text: str | None
    missing: str = ""


def last_prompt(endpoint: str, body: bytes) -> Prompt:
    """Return the last message of the user that has text, its parts joined by line ends.

    It accepts all input that an engine might: invalid UTF-8, control characters, numbers of any length.
    """
    if len(body) > READ_WORK or _work(body) > READ_WORK:
        return Prompt(None, "the body is too large to be read")
    try:
        # Numbers are not used, and one of many digits takes microseconds: take its length instead.
        request = json.loads(_text(body), strict=False, parse_float=len, parse_int=len)
    except (ValueError, RecursionError):
        return Prompt(None, "the body is not readable JSON")
    wanted = next((field for path, field in FIELDS.items() if path == endpoint), None)
    # As Go's encoding/json reads it, the parser behind Ollama: without regard to case.
    fields = {key.lower(): value for key, value in request.items()} if isinstance(request, dict) else {}
    text = _find_text(fields.get(wanted))
    return Prompt(text) if text is not None else Prompt(None, "the request has no text of the user")


def _work(body: bytes) -> int:
    escapes = body.count(b"\\") if b"\\" in body else 0  # most have none, and a search is faster than a count
    return len(body) + _COMMA_WORK * body.count(b",") + _ESCAPE_WORK * escapes


def _text(body: bytes) -> str:
    if len(body) <= REPLACED_BYTES:
        return body.decode(errors="replace")
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("latin-1")


def _find_text(content: object) -> str | None:
    """Return a string itself, the last message of the user with text, or all strings of a list."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    for message in reversed(content):
        if isinstance(message, dict) and message.get("role") == "user":
            parts = message.get("content")
            text = _join_texts(parts) if isinstance(parts, list) else parts
            if isinstance(text, str):
                return text
    strings = [text for text in content if isinstance(text, str)]
    return "\n".join(strings) if strings and len(strings) == len(content) else None


def _join_texts(parts: Iterable[object]) -> str | None:
    texts = [p.get("text") for p in parts if isinstance(p, dict) and p.get("type") in TEXT_PARTS]
    strings = [text for text in texts if isinstance(text, str)]
    return "\n".join(strings) if strings else None

"""Messages of servers about a refusal: headers of a hub, JSON of a registry, XML of a storage, or a page."""

import html
import json
import re
from collections.abc import Iterable, Mapping

MAX_BODY = 16 << 10
"""Bytes of a body that are read."""
MAX_MESSAGE = 300
_USER = re.compile(r"(https?://)[^\s/@\"'<>]{1,512}@", re.IGNORECASE)
_QUERY = re.compile(r"(?<=[^\s\"'<>])[?#][^\s\"'<>]+")
_SHORTEST_SECRET = 4


def read_message(headers: Mapping[str, str], body: bytes, hide: Iterable[str] = ()) -> str:
    """Return `code: message` in one line of at most MAX_MESSAGE characters; empty if the server gives no message.

    URLs and paths lose user, password and query, which may be a signature; secrets in `hide` are masked.
    """
    code, message = headers.get("X-Error-Code", ""), headers.get("X-Error-Message", "")
    if not (code or message):
        code, message = _in_body(headers.get("Content-Type", ""), body[:MAX_BODY].decode(errors="replace"))
    text = ": ".join(part for part in (code[:64], message[: 8 * MAX_MESSAGE]) if part)
    for secret in hide:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    text = _QUERY.sub("", _USER.sub(r"\1", text))
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= MAX_MESSAGE else f"{line[: MAX_MESSAGE - 1]}…"


def _in_body(media_type: str, text: str) -> tuple[str, str]:
    kind = media_type.lower()
    start = text.lstrip()[:1]
    if start in {"{", "["}:
        return _in_json(text)
    if found := re.search(r"<Code>([^<]{1,64})</Code>", text):
        message = re.search(r"<Message>([^<]{1,2000})</Message>", text)
        return found[1], html.unescape(message[1]) if message else ""
    if "html" in kind or start == "<":
        title = re.search(r"<title[^>]{0,200}>([^<]{1,2000})</title>", text, re.IGNORECASE)
        return "", html.unescape(title[1]) if title else ""
    return "", text if kind.startswith("text/plain") or not kind else ""


def _in_json(text: str) -> tuple[str, str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "", ""
    if isinstance(value, dict) and isinstance(value.get("errors"), list):
        value = next((it for it in value["errors"] if isinstance(it, dict)), {})
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        value = value["error"]
    if not isinstance(value, dict):
        return "", ""
    found = [value.get(key) for key in ("message", "error_description", "error", "details", "detail")]
    message = next((it for it in found if isinstance(it, str) and it), "")
    code = value.get("code")
    return code if isinstance(code, str) else "", message

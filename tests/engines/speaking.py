"""An engine of few words that answers every protocol, for clients whose own reading is what a test looks at."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ("hel", "lo")
TEXT = "".join(WORDS)
LOAD_SECONDS = 0.3
BROKEN = "broken"
"""A model that the engine cannot load. An engine that need not load it breaks its streams off within a line."""
NO_MEMORY = "model requires more system memory"
NUMBERS = [0.5, 0.25, 0.125]
_AT = "2026-01-01T00:00:00Z"
_USAGE = {"input_tokens": 7, "output_tokens": 2}


def _openai(asked: Mapping[str, Any]) -> Any:
    base = {"id": "c1", "created": 1, "model": asked["model"]}
    if asked.get("stream"):
        return [
            *({**base, "object": "chat.completion.chunk", "choices": [_choice("delta", word)]} for word in WORDS),
            "[DONE]",
        ]
    return {**base, "object": "chat.completion", "choices": [_choice("message", TEXT) | {"finish_reason": "stop"}]}


def _choice(kind: str, text: str) -> dict[str, Any]:
    return {"index": 0, "finish_reason": None, kind: {"role": "assistant", "content": text}}


def _anthropic(asked: Mapping[str, Any]) -> Any:
    message = {"id": "m1", "type": "message", "role": "assistant", "model": asked["model"], "stop_sequence": None}
    if not asked.get("stream"):
        return {**message, "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "usage": _USAGE}
    begun = {**message, "content": [], "stop_reason": None, "usage": _USAGE}
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": w}} for w in WORDS),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": _USAGE},
        {"type": "message_stop"},
    ]


def _native(asked: Mapping[str, Any]) -> Any:
    base = {"model": asked["model"], "created_at": _AT}
    if asked.get("stream") is False:
        return {**base, "message": {"role": "assistant", "content": TEXT}, "done": True}
    told = [(word, False) for word in WORDS] + [("", True)]
    lines = [{**base, "message": {"role": "assistant", "content": word}, "done": done} for word, done in told]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _loaded(asked: Mapping[str, Any]) -> Any:
    time.sleep(LOAD_SECONDS)
    return {"error": NO_MEMORY} if asked["model"] == BROKEN else {"done": True}


_ANSWERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "/v1/chat/completions": _openai,
    "/v1/messages": _anthropic,
    "/v1/messages/count_tokens": lambda _: {"input_tokens": 7},
    "/v1/embeddings": lambda asked: {
        "object": "list",
        "model": asked["model"],
        "data": [{"object": "embedding", "index": 0, "embedding": NUMBERS}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    },
    "/v1/rerank": lambda _: {"results": [{"index": 0, "relevance_score": 0.5}]},
    "/api/chat": _native,
    "/api/generate": _loaded,
    "/api/embeddings": lambda _: {"embedding": NUMBERS},
    "/api/embed": lambda _: {"embeddings": [NUMBERS]},
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        listed = {"models": [{"name": "tiny", "model": "tiny", "modified_at": _AT, "size": 1, "digest": "a"}]}
        self._send(listed if self.path == "/api/tags" else {"models": []})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._send(_ANSWERS[self.path](asked), broken=asked.get("model") == BROKEN)

    def _send(self, answer: Any, *, broken: bool = False) -> None:
        if isinstance(answer, bytes):
            content, kind = answer, "application/x-ndjson"
        elif isinstance(answer, list):
            content, kind = b"".join(map(_event, answer)), "text/event-stream"
        else:
            content, kind = json.dumps(answer).encode(), "application/json"
        self.send_response(500 if isinstance(answer, dict) and "error" in answer else 200)
        self.send_header("content-type", kind)
        if kind == "application/json":
            self.send_header("content-length", str(len(content)))
        else:  # as engines stream
            self.send_header("transfer-encoding", "chunked")
            content = content[: len(content) // 2] if broken else content
            content = b"%x\r\n%b\r\n" % (len(content), content) + (b"" if broken else b"0\r\n\r\n")
            self.close_connection = broken
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (http.server's name)
        del format, arguments


def _event(told: Any) -> bytes:
    name = f"event: {told['type']}\n" if isinstance(told, dict) and "type" in told else ""
    return f"{name}data: {told if isinstance(told, str) else json.dumps(told)}\n\n".encode()


@contextmanager
def speaking() -> Iterator[str]:
    """Its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()

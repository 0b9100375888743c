"""Shapes of errors, by the protocol of the requested path: each client reads only its own."""

import dataclasses
import json
from collections.abc import Mapping

from .answer import Answer
from .request import Request

_ANTHROPIC: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""Anthropic's error types; other statuses are `invalid_request_error` below 500, and `api_error` above."""


def shape_error(answer: Answer, request: Request) -> Answer:
    """Return an error in the shape of the request's path; other answers unchanged."""
    if not answer.message:
        return answer
    body = _body(answer, request)
    return answer if body is None else dataclasses.replace(answer, body=json.dumps(body).encode())


def _body(answer: Answer, request: Request) -> Mapping[str, object] | None:
    """Return the body of the error; None for OpenAI's shape, which it has already."""
    # A head that was refused before it was whole has no path yet.
    path = request.path or request.target.partition(b"?")[0].decode("latin-1")
    if path.startswith(("/v1/api/", "/v1/generate", "/v1/health")):  # the download service
        return {"status": "error", "error": answer.message}
    if path.startswith("/api/") and not path.startswith("/api/llm/"):  # Ollama's own
        return {"error": answer.message}
    if path.startswith("/v1/messages") or request.header(b"anthropic-version"):
        kind = _ANTHROPIC.get(answer.status) or ("invalid_request_error" if answer.status < 500 else "api_error")
        return {"type": "error", "error": {"type": kind, "message": answer.message}}
    return None

"""`ollama stop` and its like: a request on Ollama's own paths that only unloads its model."""

from collections.abc import Generator, Mapping
from datetime import UTC, datetime

from ..http.answer import Answer, document
from ..residency.load_options import LoadOptions, parse_keep_alive
from ..residency.policy import Phase
from ..residency.scheduler import Scheduler
from . import splice

_EMPTY = {"/api/generate": ("prompt", (b'""', b"null")), "/api/chat": ("messages", (b"[]", b"null"))}
"""Member that is empty or absent in such a request: server/routes.go, GenerateHandler and ChatHandler."""
_LONGEST = 8


def is_stop(path: str, body: bytes, load_members: Mapping[str, bytes]) -> Generator[None, None, bool]:
    """Tell if Ollama would unload the model and do nothing else. Yields at the end of a turn.

    Raises LoadOptionsError.
    """
    if path not in _EMPTY or "keep_alive" not in load_members or parse_keep_alive(load_members["keep_alive"]) != 0:
        return False
    member, empty = _EMPTY[path]
    try:
        found = (yield from splice.scan(body, (), (member,))).get(member)
    except splice.BodyError:  # the member is there twice: the engine judges it
        return False
    return found is None or body[found.start : min(found.end, found.start + _LONGEST)] in empty


def answer_stop(residency: Scheduler, path: str, model: str, engine_name: str, options: LoadOptions) -> Answer:
    """Unload the model if the client's keep-alive counts, and answer as Ollama does, without asking the engine."""
    slot = residency.slot(model, engine_name)
    gone = slot.phase in (Phase.COLD, Phase.UNLOADING)
    if not gone and options.keep_alive is not None:
        residency.keep(slot, options.keep_alive)
        gone = True
    empty = {"message": {"role": "assistant", "content": ""}} if path == "/api/chat" else {"response": ""}
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    # Ollama answers `load` if the request leaves the model in memory.
    return document(
        {"model": model, "created_at": at, **empty, "done": True, "done_reason": "unload" if gone else "load"}
    )

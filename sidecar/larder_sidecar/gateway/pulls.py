"""`POST /v1/api/pull` and its kin: one pull at a time, in a thread, so that the loop continues to serve.

A pull does not depend on a connection: it goes on when its client leaves, and clients that request the same file with
`?wait=true` follow it too. `Patience` limits silence and failures. A drain stops it, and the next pull resumes the
partial file.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

from pydantic import ValidationError

from .. import __version__
from ..bearer import Token, TokenError
from ..config.gateway import Auth
from ..config.gateway import Pulls as Config
from ..engines import Adapter
from ..http.answer import RETRY_SOON, Answer, document
from ..http.application import Outcome
from ..http.request import Request
from ..http.server import ServerConnection
from ..log import Log
from ..weights.download.pull import ForwardingReporter, Pull, Pulled, PullTarget, list_models
from ..weights.errors import (
    DeniedError,
    DiskFullError,
    FetchError,
    GgufError,
    HubError,
    LeaseError,
    NotFoundError,
    OccupiedError,
    TransientError,
)
from ..weights.inputs import read_token
from ..weights.progress import JsonValue
from ..weights.sources.hub import Hub
from .names import Names, unservable
from .pull_stream import Line, PullStream, refusal
from .routes import GENERATE, HEALTH, INFO, PULL

BODY_BYTES = 4096
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="larder"'),)
_STATUS: tuple[tuple[type[FetchError], int], ...] = (
    (NotFoundError, 404),
    (DeniedError, 403),
    (TransientError, 502),
    (GgufError, 422),
    (DiskFullError, 507),
    (LeaseError, 409),
    (OccupiedError, 409),
    (HubError, 502),
    (FetchError, 500),
)
_REMEDY: dict[int, str] = {
    404: "Check the repository and the exact name of the file; names are case-sensitive.",
}
_EXPECTED = {
    "model": "'model' must be a repository, as in org/name",
    "filename": "'filename' must be a GGUF file of the repository, as in name.Q4_K_M.gguf",
}
_UNAUTHORIZED = (
    "a pull requires a token. Fix: send Authorization: Bearer <key `token` of Secret larder-api-token, or of the one "
    "in larder:gateway.auth.secret>"
)
_GOING = "this gateway is shutting down. Fix: pull again; the pull resumes"


class Job:
    """The running pull, as the loop sees it."""

    def __init__(self, wanted: PullTarget) -> None:
        self.wanted = wanted
        self.total = self.completed = 0
        self.streams: set[PullStream] = set()
        self.stop = threading.Event()

    def status(self) -> Line:
        """Return its status for `GET /` and for a 409."""
        percent = round(100 * self.completed / self.total, 1) if self.total else 0.0
        named: Line = {"current_model": self.wanted.model, "current_filename": self.wanted.filename}
        return {"in_progress": True, **named, "completed": self.completed, "total": self.total, "percent": percent}

    def tell(self, line: Line) -> None:
        """Send a line to all followers."""
        for stream in self.streams:
            stream.tell(line)

    def end(self, last: Callable[[PullStream], None]) -> None:
        """Send the last line to all followers."""
        streams, self.streams = self.streams, set()
        for stream in streams:
            last(stream)


class Pulls:
    """The pulls of one gateway. Raises TokenError if the token is missing."""

    def __init__(self, config: Config, auth: Auth, names: Names, engine: Adapter, log: Log) -> None:
        self._config, self._names, self._engine, self._log = config, names, engine, log
        self._folder = Path(config.folder)
        self._token = Token(Path(auth.token_file or "")) if auth.mutations == "token" else None
        self._loop = asyncio.get_running_loop()
        self._job: Job | None = None
        self._finishing: asyncio.Task[None] | None = None
        self._look()

    # --- called by the gateway

    def admit(self, request: Request) -> Answer | None:
        """Refuse by the head alone: the body of an unauthorized request is not read."""
        if request.path != PULL.path:
            return None
        given = [value for name, value in request.headers if name == b"authorization"]
        try:
            admitted = self._token is None or self._token.admits(given)
        except TokenError as reason:  # the file was there at the start
            return refusal(503, str(reason), headers=RETRY_SOON)
        if not admitted:
            return refusal(401, _UNAUTHORIZED, headers=_CHALLENGE)
        if (request.content_length or 0) > BODY_BYTES:
            return refusal(413, f"the body is larger than {BODY_BYTES} bytes. Fix: send a repository and a file name")
        return None

    def respond(self, request: Request, client: ServerConnection, extra: bytes) -> Outcome:
        """Answer at once, or follow a pull."""
        if request.path == INFO.path:
            return document(self._info())
        if request.path == HEALTH.path:
            return PullStream(client, request, extra).asking(self._health())
        wanted = self._read_target(request)
        return wanted if isinstance(wanted, Answer) else self._follow(wanted, request, client, extra)

    def stop(self) -> None:
        """End the pull, for the gateway shuts down: followers are told now, the thread stops at its next chunk."""
        if self._job is not None:
            self._job.stop.set()
            self._job.end(lambda stream: stream.fail(503, _GOING))

    # --- inside

    def _look(self) -> None:
        """Serve the files that are in the folder now."""
        self._names.add_pulled(list_models(self._folder))
        if files := len(self._names.unservable):
            self._log.say("warning", "files that no request can name: GET / lists them", files=files)

    def _info(self) -> Line:
        idle: Line = {"in_progress": False, "current_model": None, "current_filename": None}
        paths = {"health": HEALTH.path, "models": "/v1/models", "chat": "/v1/chat/completions"}
        return {
            "service": "Larder",
            "status": "running",
            "version": __version__,
            "engine": self._engine.kind,
            "endpoints": {**paths, "generate": GENERATE.path, "completions": "/v1/completions", "pull": PULL.path},
            "download_status": self._job.status() if self._job else idle,
            **({"unservable": self._names.unservable} if self._names.unservable else {}),
        }

    async def _health(self) -> Answer:
        health = await self._engine.health()
        report = {"status": "ok" if health.ok else "error", "engine": self._engine.kind, "detail": health.detail}
        return document(report, 200 if health.ok else 503)

    def _read_target(self, request: Request) -> PullTarget | Answer:
        if len(request.body) > BODY_BYTES:  # sent in chunks, without its length
            return refusal(413, f"the body is larger than {BODY_BYTES} bytes. Fix: send a repository and a file name")
        try:
            wanted = PullTarget.model_validate_json(request.body)
        except ValidationError as error:
            key = next((str(e["loc"][0]) for e in error.errors() if e["loc"] and e["type"] != "missing"), "")
            return refusal(
                400, _EXPECTED.get(key, "Both 'model' and 'filename' are required, as strings of a JSON object")
            )
        stem = wanted.name.removesuffix(".gguf")
        if why := unservable(stem):
            return refusal(400, f"{wanted.name} cannot be the name of a model: {why}")
        if (owner := self._names.owner(stem)) is not None:
            return refusal(409, f"{wanted.name} has the name of model {owner!r} of the catalog. Fix: use that model")
        return wanted

    def _follow(
        self, wanted: PullTarget, request: Request, client: ServerConnection, extra: bytes
    ) -> PullStream | Answer:
        job = self._job
        if job is None:
            job = self._job = Job(wanted)
            threading.Thread(target=self._pull, args=(job,), name="pull", daemon=True).start()
        elif job.wanted != wanted or parse_qs(request.query).get("wait") != ["true"]:
            # There is no queue: the client is told which pull runs, and retries.
            message = f"Download already in progress: {job.wanted.model}/{job.wanted.filename}"
            return refusal(409, message, more={"download_status": job.status()})
        stream = PullStream(client, request, extra)
        job.streams.add(stream)
        stream.left = lambda: job.streams.discard(stream)
        return stream

    def _pull(self, job: Job) -> None:
        """Run the pull; called in the thread."""
        try:
            token = read_token(Path(self._config.hub_token_file)) if self._config.hub_token_file else None
            with Hub(token, setting="the Secret of larder:shimmy.pulls.hub-secret") as hub:
                reporter = ForwardingReporter(
                    tell=lambda event, facts: self._from_thread(self._report, job, event, facts)
                )
                pulled = Pull(job.wanted, self._folder, self._config.endpoint, hub, reporter, job.stop).run()
        except FetchError as error:
            self._from_thread(self._end_failed, job, error)
        except Exception as error:  # noqa: BLE001 (after any error the next pull must be possible)
            self._from_thread(self._end_broken, job, error)
        else:
            self._from_thread(self._end_pulled, job, pulled)

    def _from_thread(self, call: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and so have all followers
            self._loop.call_soon_threadsafe(call, *arguments)

    def _report(self, job: Job, event: str, facts: dict[str, JsonValue]) -> None:
        if event == "starting":
            job.total, job.completed = int(facts["bytes"] or 0), int(facts["resumed_at"] or 0)
            self._log.say("info", "pull started", **facts, **job.wanted.model_dump())
            job.tell({"status": "starting", **job.wanted.model_dump(), "total": job.total, "completed": job.completed})
        elif event == "progress":
            job.completed = int(facts["bytes"] or 0)
            rate = {"bytes_per_second": facts["bytes_per_second"], "eta_seconds": facts["eta_seconds"]}
            job.tell({"status": "downloading", "completed": job.completed, "total": job.total, **rate})
        elif event in ("retry", "restarted", "waiting"):
            job.tell({"status": event, "reason": facts["reason"]})

    def _end_failed(self, job: Job, error: FetchError) -> None:
        self._job = None
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        remedy = _REMEDY.get(status, error.remedy)
        self._log.say("warning", "pull failed", reason=error.reason, **job.wanted.model_dump())
        job.end(lambda stream: stream.fail(status, f"{error.reason}. {remedy}"))

    def _end_broken(self, job: Job, error: BaseException) -> None:
        """End a pull after a fault of the service itself, so that the next pull is possible."""
        self._loop.call_exception_handler({"message": "the pull broke off", "exception": error})
        self._end_failed(job, FetchError(f"{type(error).__name__} in the pull", "The log has the reason."))

    def _end_pulled(self, job: Job, pulled: Pulled) -> None:
        self._finishing = self._loop.create_task(self._finish(job, pulled))
        self._finishing.add_done_callback(lambda task: self._finished(job, task))

    def _finished(self, job: Job, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end_broken(job, error)

    async def _finish(self, job: Job, pulled: Pulled) -> None:
        self._look()
        model = pulled.path.stem
        servable = model in await self._engine.names()
        self._job = None
        file = {"path": str(pulled.path), "size_mb": round(pulled.bytes / 2**20, 1), "id": model}
        state = {"reused": pulled.reused, "servable": servable}
        self._log.say("info", "pull complete", **file, **state)
        line: Line = {"status": "complete", "filename": job.wanted.filename, **file, **state}
        job.end(lambda stream: stream.finish(line))

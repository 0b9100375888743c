"""Activation of a model: the only code that changes the active model, one change at a time."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from ..catalog import CatalogEntry
from ..config.manager import MODEL, ManagerConfig, UnknownSourceError
from ..log import Log
from . import inference
from .history import Activation, History, Outcome, StateError
from .inference import State, Verdict
from .kube import ApiError, KubeApi, Object

ResultT = TypeVar("ResultT")


class BusyError(Exception):
    """The error for a request while another change is in progress."""


class RefusedError(Exception):
    """The error for a change that, as far as is known, changed nothing. `status` and `code` are for the answer."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        self.status = status
        self.code = code or {409: "conflict", 422: "refused"}.get(status, "cluster_unavailable")
        super().__init__(message)


class FailedError(Exception):
    """The error for a change that was applied and failed; the message states the result of the rollback."""


class _GoneError(FailedError):
    """The error for an object that is being deleted, together with any change applied to it."""


@dataclass(frozen=True)
class _Change:
    """The change in progress."""

    model: str
    started: float
    """In seconds since the epoch."""
    began: float
    """The same on a monotonic clock."""
    wish: State
    task: asyncio.Task[None]


class Activations:
    """Applies the InferenceService and waits for it.

    A change goes on when its client has gone, and ends at its deadline at the latest: twice that if the
    previous model has to be restored.
    """

    def __init__(self, config: ManagerConfig, api: KubeApi, history: History, log: Log) -> None:
        self._config = config
        self._service = config.inference_service
        self._path = inference.path(config.inference_service)
        self._api = api
        self._history = history
        self._log = log
        self._change: _Change | None = None

    async def activate(self, entry: CatalogEntry) -> None:
        """Serve this model. Raises BusyError, RefusedError, FailedError."""
        try:
            wanted = self._service.of(entry.id)
        except UnknownSourceError as error:
            raise RefusedError(409, str(error)) from error
        await self._alone(entry.id, wanted, State.READY, self._config.ready_seconds(entry.bytes))

    async def deactivate(self) -> str:
        """Serve nothing; return the model that was active. Raises BusyError, RefusedError, FailedError."""
        self._refuse_if_busy()
        applied = await self._ask_history(self._history.last_applied)
        if applied is None:
            raise RefusedError(409, "this manager has not activated a model yet")
        wanted = inference.with_stop_annotation(applied.object)
        await self._alone(applied.model, wanted, State.STOPPED, self._config.slack_seconds)
        return applied.model

    async def status(self) -> dict[str, Any]:
        """Return the active model as the cluster reports it, the change in progress, and the last result."""
        active = None
        try:
            observed = await self._get()
        except ApiError as reason:
            if reason.status != 404:
                raise _refused(reason) from reason
        else:
            verdict = inference.judge(observed, inference.metadata(observed).get("generation", 0))
            active = {
                "id": inference.annotations(observed).get(MODEL),
                "state": verdict.state.value,
                "reason": verdict.reason,
                "storage-uri": observed.get("spec", {}).get("predictor", {}).get("model", {}).get("storageUri"),
            }
        change = self._change
        return {
            "active": active,
            "changing": {"id": change.model, "to": change.wish.value, "since": change.started} if change else None,
            "last": _describe(await self._ask_history(self._history.last)),
        }

    async def stop(self) -> None:
        """Stop waiting, for the process ends: a change in progress goes on in the cluster."""
        if (change := self._change) is not None:
            change.task.cancel()
            await asyncio.wait({change.task})

    # --- one change

    async def _alone(self, model: str, wanted: dict[str, Any], wish: State, seconds: float) -> None:
        self._refuse_if_busy()
        task = asyncio.create_task(self._make(model, wanted, wish, seconds))
        self._change = _Change(model, time.time(), time.monotonic(), wish, task)
        task.add_done_callback(self._done)
        await asyncio.shield(task)

    def _refuse_if_busy(self) -> None:
        if (held := self._change) is not None:
            passed = time.monotonic() - held.began
            msg = f"{held.model!r} has been changing to {held.wish.value} for {passed:.0f} s; see GET /active"
            raise BusyError(msg)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._change = None
        if not task.cancelled():
            task.exception()  # the client may have gone; the history has the result

    async def _make(self, model: str, wanted: dict[str, Any], wish: State, seconds: float) -> None:
        before = await self._ask_history(self._history.last_success)
        number = await self._ask_history(self._history.begin, model, wanted)
        self._log.say("info", "changing the active model", model=model, to=wish.value)
        try:
            await self._bring(wanted, wish, seconds)
        except ApiError as reason:
            refused = _refused(reason)
            # Without an answer, or with a server error, it may still have been accepted.
            await self._record_end(number, "refused" if 400 <= reason.status < 500 else "failed", str(refused))
            self._log.say("warning", "refused", model=model, reason=str(refused))
            raise refused from reason
        except _GoneError as reason:
            await self._record_end(number, "refused", str(reason))
            raise RefusedError(
                409, f"{reason}. Fix: try again after the deletion; its finalizers name what delays it"
            ) from None
        except FailedError as reason:
            await self._record_end(number, "failed", str(reason))
            self._log.say("warning", "failed", model=model, reason=str(reason))
            done = await self._go_back(before, wanted, seconds)
            raise FailedError(f"{reason}. {done}") from reason
        except asyncio.CancelledError:
            with contextlib.suppress(StateError):  # the next start finds it unfinished, and records the same
                self._history.finish(number, "interrupted", "the manager stopped during the change")
            raise
        await self._record_end(number, "stopped" if wish is State.STOPPED else "ready")
        self._log.say("info", "the active model has changed", model=model, to=wish.value)

    async def _go_back(self, before: Activation | None, failed: dict[str, Any], seconds: float) -> str:
        """Apply the previous object; return the result as text."""
        if before is None or before.object == failed:
            return "There is no earlier model to go back to. Fix: remove this one with POST /models/deactivate"
        wish = State.STOPPED if inference.is_stopped(before.object) else State.READY
        try:
            number = await self._ask_history(self._history.begin, before.model, before.object)
        except RefusedError as reason:
            return f"The manager did not try to return to {before.model!r}: {reason}"
        try:
            await self._bring(before.object, wish, seconds)
        except (ApiError, FailedError) as reason:
            await self._record_end(number, "failed", str(reason))
            return f"The return to {before.model!r} failed too: {reason}"
        await self._record_end(number, "stopped" if wish is State.STOPPED else "ready", "went back")
        return f"{before.model!r} is {wish.value} again"

    async def _bring(self, wanted: Object, wish: State, seconds: float) -> None:
        """Apply, and wait until it is ready. Raises ApiError if it was not accepted, FailedError after that."""
        taken = await self._apply(wanted)
        if gone := inference.deletion(taken):
            raise _GoneError(gone)
        verdict = Verdict(State.WAITING, "it was not checked")
        try:
            async with asyncio.timeout(seconds):
                while verdict.state is not wish:
                    verdict = await self._look(inference.metadata(taken), wish)
                    if verdict.state is State.FAILED:
                        break
                    await asyncio.sleep(0 if verdict.state is wish else self._config.poll_seconds)
        except TimeoutError:
            msg = f"not {wish.value} within {seconds:.0f} s: {await self._find_problem() or verdict.reason}"
            raise FailedError(msg) from None
        if verdict.state is not wish:
            raise FailedError(verdict.reason)

    async def _apply(self, wanted: Object) -> Object:
        try:
            return await asyncio.to_thread(self._api.apply, self._path, wanted)
        except ApiError as reason:
            # KServe's webhook compares names of modes literally, and has two names for each.
            if "deploymentMode" not in str(reason):
                raise
            again = inference.with_deployment_mode(wanted, await self._get())
            if again is wanted:
                raise
            return await asyncio.to_thread(self._api.apply, self._path, again)

    async def _look(self, taken: Object, wish: State) -> Verdict:
        """Judge the object; `taken` is its metadata right after it was applied."""
        name = self._service.name
        try:
            observed = await self._get()
        except ApiError as reason:
            if reason.status != 404:
                return Verdict(State.WAITING, str(reason))
            # A deleted object serves nothing.
            gone = Verdict(State.FAILED, f"InferenceService {name} was deleted during the wait: {reason}")
            return Verdict(State.STOPPED) if wish is State.STOPPED else gone
        if inference.metadata(observed).get("uid") != taken.get("uid"):
            return Verdict(State.FAILED, f"InferenceService {name} was deleted and created again")
        if wish is State.STOPPED and (going := inference.deletion(observed)):
            return Verdict(State.WAITING, going)
        return inference.judge(observed, taken.get("generation", 0))

    async def _ask_history(self, question: Callable[..., ResultT], *arguments: Any) -> ResultT:  # noqa: ANN401 (as question has them)
        """Ask the history in a thread: it waits for the disk. Raises RefusedError."""
        try:
            return await asyncio.to_thread(question, *arguments)
        except StateError as reason:
            raise RefusedError(507 if reason.full else 503, str(reason), "state_unwritable") from reason

    async def _record_end(self, number: int, outcome: Outcome, reason: str = "") -> None:
        """Record the end of the change; a failure to record it changes nothing in the cluster."""
        try:
            await asyncio.to_thread(self._history.finish, number, outcome, reason)
        except StateError as error:
            self._log.say("warning", "the history is not written", reason=str(error))

    async def _get(self) -> Object:
        return await asyncio.to_thread(self._api.get, self._path)

    async def _find_problem(self) -> str:
        """Return the problem in pods and events; '' if they cannot be read, because there is a reason already."""
        core = f"/api/v1/namespaces/{self._service.namespace}"
        name = self._service.name
        try:
            pods = await asyncio.to_thread(
                lambda: self._api.get(f"{core}/pods", labelSelector=f"serving.kserve.io/inferenceservice={name}")
            )
            events = await asyncio.to_thread(
                lambda: self._api.get(f"{core}/events", fieldSelector=f"involvedObject.name={name}")
            )
        except ApiError:
            return ""
        return inference.find_problem(pods.get("items") or [], events.get("items") or [])


def _refused(reason: ApiError) -> RefusedError:
    match reason.status:
        case 409:
            return RefusedError(409, f"another field manager owns its fields: {reason}")
        case 400 | 422:
            return RefusedError(422, f"the API server rejects it: {reason}")
        # For an unknown field in server-side apply the API server answers 500.
        case 500 if "typed patch object" in str(reason):
            return RefusedError(422, f"the API server rejects it: {reason}")
        case 403:
            # Denials of an admission webhook and of RBAC have the same status.
            return RefusedError(503, f"the API server denies it: {reason}")
        case 404:
            return RefusedError(503, f"KServe or the namespace does not exist: {reason}")
        case _:
            return RefusedError(503, f"{reason}; GET /active shows the active model")


def _describe(row: Activation | None) -> dict[str, Any] | None:
    if row is None:
        return None
    fields = asdict(row)
    del fields["object"]
    return fields

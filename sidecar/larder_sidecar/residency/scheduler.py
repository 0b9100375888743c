"""The scheduler of an engine's models: it tracks requests, applies the policy, and tells the engine to load and unload.

Everything here runs on one event loop, and nothing else writes a `ModelSlot`. Loads and unloads are tasks of their own:
a client that disconnects leaves the queue, and the load continues for the others.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from ..config.residency import Residency
from ..engines import EngineError, Resident
from .failure import RETRY_SECONDS, why
from .figures import Figures
from .load_options import LoadOptions, engine_keep_alive_for, resolve_load_options
from .policy import NEVER, Phase, Reason, Rules, decide
from .slot import ModelSlot, RefusedError, Waiter

LOOK_SECONDS = 10.0
"""Interval between two questions to the engine about its loaded models."""
RESYNC_SECONDS = 0.2
"""Delay between a sign of doubt and the question to the engine, so that a failing engine is not asked without pause."""
UNLOAD_SECONDS = 60.0
"""Time limit of an unload. Ollama itself waits 5 s for the memory of a discrete GPU: server/sched.go."""
HOLD_PAUSE = 0.5
"""Delay before a load with waiting requests is tried again at an engine that takes no connections."""

Say = Callable[..., None]
"""Writes a line of the log: level, message, fields."""


class Scheduler:
    """Decides, executes and records which models one engine holds."""

    def __init__(
        self,
        config: Residency,
        engine: Resident,
        models: Iterable[tuple[str, str]],
        say: Say,
        *,
        hold_seconds: float = 0,
    ) -> None:
        """Start with `models` by id and by the engine's name; more may follow.

        `hold_seconds` is how long a request waits for an engine that takes no connections.
        """
        self._engine = engine
        self._say = say
        self._hold_seconds = hold_seconds
        self._loop = asyncio.get_running_loop()
        self._slots = {name: ModelSlot(name, named, config.keep_alive) for name, named in models}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wake = NEVER
        self._resync_needed = asyncio.Event()
        self.figures = Figures()
        self.config = config
        """The settings in force."""
        self._rules = _rules(config)
        self._want(config.pin, config.preload, first=True)

    # --- called for requests

    def enter(self, model: str) -> ModelSlot | None:
        """Count one more request on a model that is loaded. Return None if the request has to wait."""
        slot = self._slots.get(model)
        if slot is None or not slot.open:
            return None
        slot.busy += 1
        self.figures.hits += 1
        return slot

    def wait(self, model: str, named: str, waiting: Waiter) -> ModelSlot:
        """Queue a request for a model that is not open. Raises RefusedError if the queue is full."""
        if self.waiting >= self.config.queue:
            seconds = max(1, math.ceil(self.figures.mean_load() or 1))
            message = f"{self.waiting} requests wait for their models already. Fix: try again in {seconds} s"
            raise RefusedError(429, "queue_full", message, seconds)
        self.figures.misses += 1
        return self.join(model, named, waiting)

    def join(self, model: str, named: str, waiting: Waiter) -> ModelSlot:
        """Queue without the limit of the queue, and without a count as a request."""
        slot = self.slot(model, named)
        slot.waiting[waiting] = self._loop.time()
        self.soon()
        return slot

    def cancel(self, slot: ModelSlot, waiting: Waiter) -> None:
        """Remove from the queue."""
        slot.waiting.pop(waiting, None)
        self.soon()

    def leave(self, slot: ModelSlot, *, doubtful: bool = False) -> None:
        """End a request. `doubtful`: the engine did not answer it and may have lost its models."""
        slot.busy -= 1
        slot.used = now = self._loop.time()
        if doubtful:
            self._resync_needed.set()
        if not slot.busy and (not slot.open or now + slot.keep_alive < self._wake or self.waiting):
            self.soon()

    def load_options(self, model: str, named: str, load_members: Mapping[str, bytes]) -> LoadOptions:
        """Resolve the load options that a client asks for. Raises LoadOptionsError."""
        slot = self.slot(model, named)
        return resolve_load_options(self.config, load_members, keep_alive=slot.keep_alive, pinned=slot.pinned)

    def keep(self, slot: ModelSlot, seconds: float) -> None:
        """Set the keep-alive that a client was granted, until the model is unloaded."""
        if not slot.pinned:
            slot.keep_alive, slot.engine_keep_alive = (
                seconds,
                engine_keep_alive_for(seconds),
            )  # the request itself tells the engine
            self.soon()

    def foresee(self, model: str, named: str) -> dict[str, object]:
        """Describe what a request for the model would meet now, without any change."""
        slot = self.slot(model, named)
        found: dict[str, object] = {"phase": slot.phase.name.lower(), "waits": not slot.open}
        if slot.phase is Phase.COLD:
            others = [one.state() for one in self._slots.values() if one is not slot]
            asked = ModelSlot(model, named, slot.keep_alive)
            asked.wanted, asked.size = self.now(), slot.size
            found["unloads"] = sorted(decide(self._rules, [*others, asked.state()], self.now()).unload)
        return found

    # --- state

    @property
    def waiting(self) -> int:
        """Number of waiting requests, for all models together."""
        return sum(len(slot.waiting) for slot in self._slots.values())

    @property
    def ready(self) -> bool:
        """Tell if every load of the start has been tried."""
        return not any(slot.first for slot in self._slots.values())

    def now(self) -> float:
        """Return the time on the scheduler's clock, in seconds."""
        return self._loop.time()

    def slots(self) -> list[ModelSlot]:
        """Return all models, in the order of the configuration."""
        return [*self._slots.values()]

    def slot(self, model: str, named: str) -> ModelSlot:
        """Return the slot of a model; create it for a new model."""
        slot = self._slots.get(model)
        if slot is None:
            slot = self._slots[model] = ModelSlot(model, named, self.config.keep_alive)
        return slot

    def room_for_pins(self, more: int) -> bool:
        """Tell if `more` pins leave room for the models that are not pinned, if there are any."""
        pins = more + sum(slot.pinned for slot in self._slots.values())
        return pins < self.config.max_models or pins == len(self._slots) == self.config.max_models

    # --- life cycle

    def read(self, config: Residency) -> None:
        """Apply new settings. Pins that an operator has set remain as far as there is room."""
        if config == self.config:
            return
        before, self.config = self.config, config
        self._rules = _rules(config)
        for slot in self._slots.values():
            if (slot.name in config.pin) != (slot.name in before.pin):
                slot.pinned = slot.name in config.pin
            if slot.keep_alive == before.keep_alive:
                slot.keep_alive = config.keep_alive
        for slot in self._slots.values():
            slot.pinned &= slot.name in config.pin or self.room_for_pins(0)
        self._want([name for name in config.pin if name not in before.pin], [], first=False)

    async def watch(self) -> None:
        """Compare with the engine's loaded models at intervals, until cancelled."""
        while True:
            self._resync_needed.clear()
            await self.look()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._resync_needed.wait()
                await asyncio.sleep(RESYNC_SECONDS)
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Adopt the engine's loaded models: it may have restarted, evicted by itself, or been told by others."""
        asked = self._loop.time()
        try:
            held = await self._engine.loaded()
        except (OSError, EngineError):
            return  # the health check reports it
        for slot in self._slots.values():
            if slot.changed >= asked or slot.phase is Phase.LOADING:
                continue
            found = held.get(self._engine.key(slot.named))
            if found is not None:
                slot.size = found.size or slot.size
            if found is not None and slot.phase is Phase.COLD:
                self._adopt_difference(slot, "the engine holds a model that this gateway did not load")
                slot.enter(Phase.LOADED, self._loop.time())
            elif found is None and slot.phase is Phase.LOADED and not slot.busy:
                self._adopt_difference(slot, "the engine has lost a model")
                self._reset(slot)
        self.soon()

    def stop(self) -> None:
        """Cancel all tasks and refuse every waiting request."""
        for task in self._tasks:
            task.cancel()
        for handle in (self._next, self._timer):
            if handle is not None:
                handle.cancel()
        going = RefusedError(503, "draining", "this gateway is shutting down. Fix: try again", 2)
        for slot in self._slots.values():
            slot.answer_unload_waiters(going)
            self._refuse(slot, going, at_once=True)

    def soon(self) -> None:
        """Schedule one decision after all events of this turn of the event loop."""
        if self._next is None:
            self._next = self._loop.call_soon(self._step)

    # --- internals

    def _want(self, pins: Iterable[str], preload: Iterable[str], *, first: bool) -> None:
        """Request loads without clients, in this order. `first`: the gateway is not ready before they are tried."""
        now = self._loop.time()
        for index, name in enumerate(dict.fromkeys([*pins, *preload])):
            slot = self._slots[name]
            slot.pinned |= name in pins
            if slot.phase is Phase.COLD:
                slot.first = first
                slot.wanted = now + index * 1e-6
        self.soon()

    def _step(self) -> None:
        self._next = None
        now = self._loop.time()
        decision = decide(self._rules, [slot.state() for slot in self._slots.values()], now)
        for name, reason in decision.unload.items():
            self._slots[name].enter(Phase.UNLOADING, now)
            self._start(self._unload(self._slots[name], reason))
        if decision.load is not None:
            self._slots[decision.load].enter(Phase.LOADING, now)
            self._start(self._load(self._slots[decision.load]))
        for slot in self._slots.values():
            slot.open = slot.phase is Phase.LOADED and slot.name not in decision.closed
            if slot.open:
                self._admit(slot)
            if slot.open and slot.engine_keep_alive != self._engine_keep_alive(slot):
                slot.busy += 1  # it is not unloaded meanwhile
                slot.engine_keep_alive = self._engine_keep_alive(slot)
                self._start(self._tell(slot))
        self._wake_at(decision.wake)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wake_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake = moment
        if moment < NEVER:
            self._timer = self._loop.call_at(moment, self._step_by_timer)

    def _step_by_timer(self) -> None:
        self._timer, self._wake = None, NEVER
        self.soon()

    def _admit(self, slot: ModelSlot) -> None:
        waiting, slot.waiting = slot.waiting, {}
        now = self._loop.time()
        for one, since in waiting.items():
            slot.busy += 1
            self.figures.waits.add(now - since)
            try:
                one.admitted(slot)
            except Exception as reason:  # noqa: BLE001 (one request's error must not keep the others out)
                self._loop.call_exception_handler({"message": "a request was not admitted", "exception": reason})

    def _refuse(self, slot: ModelSlot, refusal: RefusedError, *, hold: float = 0, at_once: bool = False) -> None:
        now = self._loop.time()
        for one, since in [*slot.waiting.items()]:
            if at_once or now >= since + hold:
                del slot.waiting[one]
                if at_once:
                    one.refused(refusal)
                else:
                    self._loop.call_soon(one.refused, refusal)

    async def _load(self, slot: ModelSlot) -> None:
        begun, keeps = self._loop.time(), self._engine_keep_alive(slot)
        try:
            await self._engine.load(slot.named, keeps, self.config.load_seconds)
        except Exception as reason:  # noqa: BLE001 (the waiting requests must be told, whatever it is)
            self._failed(slot, reason)
        else:
            slot.engine_keep_alive = keeps
            slot.size = await self._size(slot)
            slot.took = self._loop.time() - begun
            slot.enter(Phase.LOADED, self._loop.time())
            self.figures.loads[slot.name].add(slot.took)
            self._say("info", "model loaded", model=slot.name, seconds=round(slot.took, 3), bytes=slot.size)
            # Before the next decision: the requests that waited are served even if another model needs the room.
            self._admit(slot)
        self.soon()

    async def _size(self, slot: ModelSlot) -> int:
        """Ask the engine for the size; return the last known one if it does not say."""
        try:
            held = await self._engine.loaded()
        except (OSError, EngineError):
            return slot.size
        found = held.get(self._engine.key(slot.named))
        return found.size if found else slot.size

    def _failed(self, slot: ModelSlot, reason: Exception) -> None:
        failure = why(reason, slot.name, self.config)
        self._say("warning", "model not loaded", model=slot.name, reason=failure.text)
        if not failure.unreachable:
            self.figures.failures[slot.name] += 1
            slot.first = False
        hold = self._hold_seconds if failure.unreachable else 0.0
        wanted, now = slot.pinned or slot.first, self._loop.time()
        self._reset(slot)
        slot.wanted = now + failure.again_seconds if wanted else NEVER
        slot.not_before = now + HOLD_PAUSE if hold else 0.0
        self._refuse(slot, failure.refusal, hold=hold)
        self._resync_needed.set()

    async def _unload(self, slot: ModelSlot, cause: Reason) -> None:
        try:
            await self._engine.unload(slot.named, UNLOAD_SECONDS)
        except Exception as reason:  # noqa: BLE001 (the slot must leave this phase, whatever it is)
            text = str(reason) or type(reason).__name__
            self._say("warning", "model not unloaded", model=slot.name, reason=text)
            slot.answer_unload_waiters(
                RefusedError(502, "model_not_unloaded", f"the engine did not unload {slot.name!r}: {text}")
            )
            if isinstance(reason, OSError) and not isinstance(reason, TimeoutError):
                self._reset(slot)  # the engine is down, and its memory went with it
            else:
                # It counts as loaded until the engine no longer lists it, and the next try is delayed.
                slot.enter(Phase.LOADED, self._loop.time())
                slot.used += RETRY_SECONDS
            self._resync_needed.set()
        else:
            self.figures.evictions[cause] += 1
            self._say("info", "model unloaded", model=slot.name, why=cause)
            self._reset(slot)
        self.soon()

    def _reset(self, slot: ModelSlot) -> None:
        """Mark the model as not loaded and reset what held for this load."""
        slot.enter(Phase.COLD, self._loop.time())
        slot.keep_alive = self.config.keep_alive
        slot.answer_unload_waiters()

    def _adopt_difference(self, slot: ModelSlot, what: str) -> None:
        self.figures.drifts += 1
        self._say("warning", what, model=slot.name)

    def _engine_keep_alive(self, slot: ModelSlot) -> float | None:
        return None if slot.pinned else engine_keep_alive_for(slot.keep_alive)

    async def _tell(self, slot: ModelSlot) -> None:
        """Send the engine its keep-alive for a loaded model. If that fails, the scheduler's timer still unloads it."""
        try:
            await self._engine.load(slot.named, slot.engine_keep_alive, self.config.load_seconds)
        except (OSError, EngineError) as reason:
            self._say("warning", "the engine was not told a keep-alive", model=slot.name, reason=str(reason))
            self._resync_needed.set()
        finally:
            slot.busy -= 1
            self.soon()


def _rules(config: Residency) -> Rules:
    return Rules(
        max_models=config.max_models,
        eviction=config.eviction,
        min_residency=config.min_residency,
        max_wait=config.max_wait,
        memory=config.memory,
    )

"""The one owner of what is loaded: requests come and go, the policy decides, and the engine is told.

Everything here runs on one event loop, and nothing else writes a `Place`. Loads and unloads are tasks of their own: a
client that leaves takes its request away, and the load goes on for those who wait with it.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from ..config.residency import Residency
from ..engines import EngineError, Resident
from .failure import RETRY_SECONDS, why
from .figures import Figures
from .place import Place, RefusedError, Waiting
from .policy import NEVER, Phase, Reason, Rules, decide
from .words import Words, engine_seconds, heard

LOOK_SECONDS = 10.0
"""Between two looks at what the engine really holds."""
DOUBT_SECONDS = 0.2
"""Between a doubt and the look that settles it: an engine that refuses everything is not asked without pause."""
UNLOAD_SECONDS = 60.0
"""Ollama waits five for the memory of a discrete GPU to come back: server/sched.go."""
HOLD_PAUSE = 0.5
"""Before a load that somebody waits for is tried again at an engine that takes no connections."""

Say = Callable[..., None]
"""A line of the log: level, message, fields."""


class Scheduler:
    """Residency of one engine."""

    def __init__(
        self,
        config: Residency,
        engine: Resident,
        models: Iterable[tuple[str, str]],
        say: Say,
        *,
        hold_seconds: float = 0,
    ) -> None:
        """`models` by id and by the engine's name; others may come later.

        `hold_seconds`: so long a request waits for an engine that takes no connections.
        """
        self._engine = engine
        self._say = say
        self._hold_seconds = hold_seconds
        self._loop = asyncio.get_running_loop()
        self._places = {name: Place(name, named, config.keep_alive) for name, named in models}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wake = NEVER
        self._doubt = asyncio.Event()
        self.figures = Figures()
        self.config = config
        """The settings in force."""
        self._rules = _rules(config)
        self._want(config.pin, config.preload, first=True)

    # --- what requests do

    def enter(self, model: str) -> Place | None:
        """One more request for a model that is loaded; None where it has to wait."""
        place = self._places.get(model)
        if place is None or not place.open:
            return None
        place.busy += 1
        self.figures.hits += 1
        return place

    def wait(self, model: str, named: str, waiting: Waiting) -> Place:
        """Wait for a model that is not loaded, or takes no new request now. Raises RefusedError where too many wait."""
        if self.waiting >= self.config.queue:
            seconds = max(1, math.ceil(self.figures.mean_load() or 1))
            message = f"{self.waiting} requests wait for their models already; try again in {seconds} s"
            raise RefusedError(429, "queue_full", message, seconds)
        self.figures.misses += 1
        return self.join(model, named, waiting)

    def join(self, model: str, named: str, waiting: Waiting) -> Place:
        """Wait, however many do, and without being counted among requests."""
        place = self.place(model, named)
        place.waiting[waiting] = self._loop.time()
        self.soon()
        return place

    def cancel(self, place: Place, waiting: Waiting) -> None:
        """Whoever waited has gone."""
        place.waiting.pop(waiting, None)
        self.soon()

    def leave(self, place: Place, *, doubtful: bool = False) -> None:
        """A request is over; `doubtful`: the engine did not answer it, and may have lost what it held."""
        place.busy -= 1
        place.used = now = self._loop.time()
        if doubtful:
            self._doubt.set()
        if not place.busy and (not place.open or now + place.keep_alive < self._wake or self.waiting):
            self.soon()

    def hear(self, model: str, named: str, said: Mapping[str, bytes]) -> Words:
        """What becomes of a client's own words about the loading of a model. Raises WordsError."""
        place = self.place(model, named)
        return heard(self.config, said, keep_alive=place.keep_alive, pinned=place.pinned)

    def keep(self, place: Place, seconds: float) -> None:
        """A client's word is granted: from now on, and until the model goes, it stays idle for so long."""
        if not place.pinned:
            place.keep_alive, place.told = seconds, engine_seconds(seconds)  # its request tells the engine
            self.soon()

    def foresee(self, model: str, named: str) -> dict[str, object]:
        """What a request for the model would meet now; nothing is done."""
        place = self.place(model, named)
        told: dict[str, object] = {"phase": place.phase.name.lower(), "waits": not place.open}
        if place.phase is Phase.COLD:
            others = [one.seen() for one in self._places.values() if one is not place]
            asked = Place(model, named, place.keep_alive)
            asked.wanted, asked.size = self.now(), place.size
            told["unloads"] = sorted(decide(self._rules, [*others, asked.seen()], self.now()).unload)
        return told

    # --- what it knows

    @property
    def waiting(self) -> int:
        """Requests that wait, for all models together."""
        return sum(len(place.waiting) for place in self._places.values())

    @property
    def ready(self) -> bool:
        """Whether every load of the start has been tried."""
        return not any(place.first for place in self._places.values())

    def now(self) -> float:
        """On the clock of its moments."""
        return self._loop.time()

    def places(self) -> list[Place]:
        """All models, in the order of the file."""
        return [*self._places.values()]

    def place(self, model: str, named: str) -> Place:
        """Of a model, which may have come just now."""
        place = self._places.get(model)
        if place is None:
            place = self._places[model] = Place(model, named, self.config.keep_alive)
        return place

    def room_for_pins(self, more: int) -> bool:
        """Whether there is a place left for models that are not pinned, if there are such models."""
        pins = more + sum(place.pinned for place in self._places.values())
        return pins < self.config.max_models or pins == len(self._places) == self.config.max_models

    # --- its life

    def read(self, config: Residency) -> None:
        """From now on by these settings. What was said by hand holds on, as far as there is room."""
        if config == self.config:
            return
        before, self.config = self.config, config
        self._rules = _rules(config)
        for place in self._places.values():
            if (place.name in config.pin) != (place.name in before.pin):
                place.pinned = place.name in config.pin
            if place.keep_alive == before.keep_alive:
                place.keep_alive = config.keep_alive
        for place in self._places.values():
            place.pinned &= place.name in config.pin or self.room_for_pins(0)
        self._want([name for name in config.pin if name not in before.pin], [], first=False)

    async def watch(self) -> None:
        """Look at what the engine holds, now and again, until cancelled."""
        while True:
            self._doubt.clear()
            await self.look()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._doubt.wait()
                await asyncio.sleep(DOUBT_SECONDS)
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Mend what is thought of the engine: it was restarted, made room by itself, or was told by somebody else."""
        asked = self._loop.time()
        try:
            held = await self._engine.loaded()
        except (OSError, EngineError):
            return  # its health says so
        for place in self._places.values():
            if place.changed >= asked or place.phase is Phase.LOADING:
                continue
            found = held.get(self._engine.key(place.named))
            if found is not None:
                place.size = found.size or place.size
            if found is not None and place.phase is Phase.COLD:
                self._drifted(place, "the engine holds a model that was not loaded from here")
                place.enter(Phase.LOADED, self._loop.time())
            elif found is None and place.phase is Phase.LOADED and not place.busy:
                self._drifted(place, "the engine has lost a model")
                self._forget(place)
        self.soon()

    def stop(self) -> None:
        """End: nobody waits any more."""
        for task in self._tasks:
            task.cancel()
        for handle in (self._next, self._timer):
            if handle is not None:
                handle.cancel()
        going = RefusedError(503, "draining", "this gateway is going away; try again", 2)
        for place in self._places.values():
            place.parted(going)
            self._refuse(place, going, at_once=True)

    def soon(self) -> None:
        """Decide once, after everything that happens now."""
        if self._next is None:
            self._next = self._loop.call_soon(self._step)

    # --- inside

    def _want(self, pins: Iterable[str], preload: Iterable[str], *, first: bool) -> None:
        """Have models loaded though nobody asks, in their order; `first`: the gateway is not ready before."""
        now = self._loop.time()
        for index, name in enumerate(dict.fromkeys([*pins, *preload])):
            place = self._places[name]
            place.pinned |= name in pins
            if place.phase is Phase.COLD:
                place.first = first
                place.wanted = now + index * 1e-6
        self.soon()

    def _step(self) -> None:
        self._next = None
        now = self._loop.time()
        decision = decide(self._rules, [place.seen() for place in self._places.values()], now)
        for name, reason in decision.unload.items():
            self._places[name].enter(Phase.UNLOADING, now)
            self._start(self._unload(self._places[name], reason))
        if decision.load is not None:
            self._places[decision.load].enter(Phase.LOADING, now)
            self._start(self._load(self._places[decision.load]))
        for place in self._places.values():
            place.open = place.phase is Phase.LOADED and place.name not in decision.closed
            if place.open:
                self._admit(place)
            if place.open and place.told != self._engine_keeps(place):
                place.busy += 1  # it is not unloaded while it is spoken of
                place.told = self._engine_keeps(place)
                self._start(self._tell(place))
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

    def _admit(self, place: Place) -> None:
        waiting, place.waiting = place.waiting, {}
        now = self._loop.time()
        for one, since in waiting.items():
            place.busy += 1
            self.figures.waits.add(now - since)
            try:
                one.admitted(place)
            except Exception as reason:  # noqa: BLE001 (whatever one request is about, the others are let in)
                self._loop.call_exception_handler({"message": "a request was not let in", "exception": reason})

    def _refuse(self, place: Place, refusal: RefusedError, *, hold: float = 0, at_once: bool = False) -> None:
        now = self._loop.time()
        for one, since in [*place.waiting.items()]:
            if at_once or now >= since + hold:
                del place.waiting[one]
                if at_once:
                    one.refused(refusal)
                else:
                    self._loop.call_soon(one.refused, refusal)

    async def _load(self, place: Place) -> None:
        begun, keeps = self._loop.time(), self._engine_keeps(place)
        try:
            await self._engine.load(place.named, keeps, self.config.load_seconds)
        except Exception as reason:  # noqa: BLE001 (whatever it is: those who wait must hear of it)
            self._failed(place, reason)
        else:
            place.told = keeps
            place.size = await self._size(place)
            place.took = self._loop.time() - begun
            place.enter(Phase.LOADED, self._loop.time())
            self.figures.loads[place.name].add(place.took)
            self._say("info", "model loaded", model=place.name, seconds=round(place.took, 3), bytes=place.size)
            # Before anything is decided: those who waited are served, whoever waits for its room.
            self._admit(place)
        self.soon()

    async def _size(self, place: Place) -> int:
        """By the engine's own word, where it has one now."""
        try:
            held = await self._engine.loaded()
        except (OSError, EngineError):
            return place.size
        found = held.get(self._engine.key(place.named))
        return found.size if found else place.size

    def _failed(self, place: Place, reason: Exception) -> None:
        failure = why(reason, place.name, self.config)
        self._say("warning", "model not loaded", model=place.name, reason=failure.told)
        if not failure.unreachable:
            self.figures.failures[place.name] += 1
            place.first = False
        hold = self._hold_seconds if failure.unreachable else 0.0
        wanted, now = place.pinned or place.first, self._loop.time()
        self._forget(place)
        place.wanted = now + failure.again_seconds if wanted else NEVER
        place.not_before = now + HOLD_PAUSE if hold else 0.0
        self._refuse(place, failure.refusal, hold=hold)
        self._doubt.set()

    async def _unload(self, place: Place, cause: Reason) -> None:
        try:
            await self._engine.unload(place.named, UNLOAD_SECONDS)
        except Exception as reason:  # noqa: BLE001 (whatever it is: the place must not stay as it is for ever)
            told = str(reason) or type(reason).__name__
            self._say("warning", "model not unloaded", model=place.name, reason=told)
            place.parted(RefusedError(502, "model_not_unloaded", f"the engine did not unload {place.name!r}: {told}"))
            if isinstance(reason, OSError) and not isinstance(reason, TimeoutError):
                self._forget(place)  # nobody listens there: what it held went with it
            else:
                # It takes up its place until it is seen to be gone, and is not asked again at once.
                place.enter(Phase.LOADED, self._loop.time())
                place.used += RETRY_SECONDS
            self._doubt.set()
        else:
            self.figures.evictions[cause] += 1
            self._say("info", "model unloaded", model=place.name, why=cause)
            self._forget(place)
        self.soon()

    def _forget(self, place: Place) -> None:
        """It is not loaded, whatever it was; the next time it begins anew."""
        place.enter(Phase.COLD, self._loop.time())
        place.keep_alive = self.config.keep_alive
        place.parted()

    def _drifted(self, place: Place, what: str) -> None:
        self.figures.drifts += 1
        self._say("warning", what, model=place.name)

    def _engine_keeps(self, place: Place) -> float | None:
        return None if place.pinned else engine_seconds(place.keep_alive)

    async def _tell(self, place: Place) -> None:
        """The engine's own keep-alive for a model that is loaded; should it not hear, it is unloaded from here."""
        try:
            await self._engine.load(place.named, place.told, self.config.load_seconds)
        except (OSError, EngineError) as reason:
            self._say("warning", "the engine was not told a keep-alive", model=place.name, reason=str(reason))
            self._doubt.set()
        finally:
            place.busy -= 1
            self.soon()


def _rules(config: Residency) -> Rules:
    return Rules(
        max_models=config.max_models,
        eviction=config.eviction,
        min_residency=config.min_residency,
        max_wait=config.max_wait,
        memory=config.memory,
    )

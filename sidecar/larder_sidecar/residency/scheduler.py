"""The one owner of what is loaded: requests come and go, the policy decides, and the engine is told.

Everything here runs on one event loop, and nothing else writes a `Place`. Loads and unloads are tasks of their own: a
client that leaves takes its request away, and the load goes on for those who wait with it.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..config.residency import Residency
from ..engines import EngineError, Resident
from .figures import Figures
from .place import Place, RefusedError, Waiting
from .policy import NEVER, Phase, Reason, Rules, decide
from .words import Words, engine_seconds, heard

LOOK_SECONDS = 10.0
"""Between two looks at what the engine really holds."""
UNLOAD_SECONDS = 60.0
"""Ollama waits five for the memory of a discrete GPU to come back: server/sched.go."""
RETRY_SECONDS = 2.0
"""Before a load that nobody waits for is tried again at an engine that does not answer, …"""
RETRY_REFUSED_SECONDS = 30.0
"""… or that answered with a refusal."""
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
        self._hold_seconds = hold_seconds
        self._config = config
        self._engine = engine
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._places = {name: Place(name, named, config.keep_alive) for name, named in models}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wake = NEVER
        self._doubt = asyncio.Event()
        self.figures = Figures()
        self.read(config)

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
        if self.waiting >= self._config.queue:
            seconds = max(1, math.ceil(self.figures.mean_load() or 1))
            message = f"{self.waiting} requests wait for their models already; try again in {seconds} s"
            raise RefusedError(429, "queue_full", message, seconds)
        self.figures.misses += 1
        return self._queue(model, named, waiting)

    def cancel(self, place: Place, waiting: Waiting) -> None:
        """Whoever waited has gone."""
        place.waiting.pop(waiting, None)
        self._soon()

    def leave(self, place: Place, *, doubtful: bool = False) -> None:
        """A request is over; `doubtful`: the engine did not answer it, and may have lost what it held."""
        place.busy -= 1
        place.used = now = self._loop.time()
        if doubtful:
            self._doubt.set()
        if not place.busy and (not place.open or now + place.keep_alive < self._wake or self.waiting):
            self._soon()

    def hear(self, model: str, named: str, said: Mapping[str, bytes]) -> Words:
        """What becomes of a client's own words about the loading of a model. Raises WordsError."""
        return heard(self._config, said, self._engine_keeps(self._place(model, named)))

    def keep(self, place: Place, seconds: float) -> None:
        """A client's word is granted: from now on, and until the model goes, it stays idle for so long."""
        place.keep_alive = seconds
        self._soon()

    def foresee(self, model: str, named: str) -> dict[str, object]:
        """What a request for the model would meet now; nothing is done."""
        place = self._place(model, named)
        now = self._loop.time()
        asked = [replace(one.seen(), asked=min(one.seen().asked, now)) for one in (place,)]
        others = [one.seen() for one in self._places.values() if one is not place]
        decision = decide(self._rules, [*others, *asked], now)
        told: dict[str, object] = {"phase": place.phase.name.lower(), "waits": not place.open}
        if place.phase is Phase.COLD:
            told["unloads"] = sorted(decision.unload)
            told["waits_for"] = sorted(one.name for one in self._places.values() if one.busy and not one.pinned)
        return told

    # --- what operators do

    async def preload(self, model: str, named: str) -> Place:
        """Have a model loaded. Raises RefusedError."""
        asking = _Asking(self)
        place = self._queue(model, named, asking)
        try:
            await asking.answer
        finally:
            self.cancel(place, asking)
        return place

    async def unload(self, model: str, named: str) -> None:
        """Have a model gone, as soon as its requests are over. Raises RefusedError for one that is pinned."""
        place = self._place(model, named)
        if place.pinned:
            raise RefusedError(409, "pinned", f"model {model!r} is pinned; take the pin away first")
        await self.look()  # whoever says so may know better what is loaded
        if place.phase is Phase.COLD:
            return
        place.leaving = True
        farewell = self._loop.create_future()
        place.farewells.append(farewell)
        self._soon()
        await farewell

    async def pin(self, model: str, named: str, *, pinned: bool) -> None:
        """Keep a model loaded from now on, or no longer than others. Raises RefusedError."""
        place = self._place(model, named)
        if pinned and not place.pinned and not self._room_for_pins(1):
            room = f"max-models is {self._config.max_models}, and another model would never be loaded"
            raise RefusedError(409, "no_room", f"model {model!r} cannot be pinned beside the others: {room}")
        place.pinned = pinned
        if place.phase is Phase.LOADED:
            await self._tell(place)
        elif pinned and place.phase is Phase.COLD:
            place.wanted = self._loop.time()
        self._soon()

    # --- its life

    @property
    def waiting(self) -> int:
        """Requests that wait, for all models together."""
        return sum(len(place.waiting) for place in self._places.values())

    @property
    def ready(self) -> bool:
        """Whether every load of the start has been tried."""
        return not any(place.first for place in self._places.values())

    @property
    def config(self) -> Residency:
        """The settings in force."""
        return self._config

    def now(self) -> float:
        """On the clock of its moments."""
        return self._loop.time()

    def places(self) -> list[Place]:
        """All models, in the order of the file."""
        return [*self._places.values()]

    def read(self, config: Residency) -> None:
        """From now on by these settings. What was pinned by hand stays so as far as there is room."""
        before, self._config = self._config, config
        start = before is config
        self._rules = Rules(
            max_models=config.max_models,
            eviction=config.eviction,
            min_residency=config.min_residency,
            max_wait=config.max_wait,
            memory=config.memory,
        )
        for place in self._places.values():
            by_hand = place.pinned and place.name not in before.pin
            place.pinned = place.name in config.pin or by_hand
            place.keep_alive = config.keep_alive
        for place in self._places.values():
            place.pinned &= place.name in config.pin or self._room_for_pins(0)
            if place.phase is Phase.LOADED:
                self._start(self._tell(place))
        now = self._loop.time()
        for index, name in enumerate(dict.fromkeys([*config.pin, *(config.preload if start else ())])):
            place = self._places[name]
            place.first = start
            if place.phase is Phase.COLD:
                place.wanted = now + index * 1e-6  # in their order
        self._soon()

    async def watch(self) -> None:
        """Look at what the engine holds, now and again, until cancelled."""
        while True:
            await self.look()
            self._doubt.clear()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._doubt.wait()
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
            if place.changed >= asked or place.phase in (Phase.LOADING, Phase.UNLOADING):
                continue
            found = held.get(self._engine.key(place.named))
            if found is not None:
                place.size = found.size or place.size
            if found is not None and place.phase is Phase.COLD:
                self._drifted(place, "the engine holds a model that was not loaded from here")
                place.used = place.loaded = self._loop.time()
                place.enter(Phase.LOADED, place.used)
            elif found is None and place.phase is Phase.LOADED and not place.busy:
                self._drifted(place, "the engine has lost a model")
                self._forget(place)
        self._soon()

    def stop(self) -> None:
        """End: nobody waits any more."""
        for task in self._tasks:
            task.cancel()
        for handle in (self._next, self._timer):
            if handle is not None:
                handle.cancel()

    # --- inside

    def _place(self, model: str, named: str) -> Place:
        place = self._places.get(model)
        if place is None:
            place = self._places[model] = Place(model, named, self._config.keep_alive)
        return place

    def _queue(self, model: str, named: str, waiting: Waiting) -> Place:
        place = self._place(model, named)
        place.waiting[waiting] = self._loop.time()
        self._soon()
        return place

    def _room_for_pins(self, more: int) -> bool:
        """Whether there is a place left for models that are not pinned, if there are such models."""
        pins = more + sum(place.pinned for place in self._places.values())
        return pins < self._config.max_models or pins == len(self._places) == self._config.max_models

    def _soon(self) -> None:
        """Decide once, after everything that happens now."""
        if self._next is None:
            self._next = self._loop.call_soon(self._step)

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
        self._soon()

    def _admit(self, place: Place) -> None:
        waiting, place.waiting = place.waiting, {}
        now = self._loop.time()
        for one, since in waiting.items():
            place.busy += 1
            self.figures.waits.add(now - since)
            one.admitted(place)

    async def _load(self, place: Place) -> None:
        begun = self._loop.time()
        place.wanted = NEVER
        try:
            await self._engine.load(place.named, self._engine_keeps(place), self._config.load_seconds)
            held = await self._engine.loaded()
        except (OSError, EngineError) as reason:
            self._failed(place, reason)
        else:
            now = self._loop.time()
            if (found := held.get(self._engine.key(place.named))) is not None:
                place.size = found.size
            place.first = False
            place.used = place.loaded = now
            place.took = now - begun
            place.enter(Phase.LOADED, now)
            self.figures.loads[place.name].add(place.took)
            self._say("info", "model loaded", model=place.name, seconds=round(place.took, 3), bytes=place.size)
            # Before anything is decided: those who waited are served, whoever waits for its room.
            self._admit(place)
        self._soon()

    def _failed(self, place: Place, reason: Exception) -> None:
        self.figures.failures[place.name] += 1
        if isinstance(reason, TimeoutError):
            told = f"the engine did not load it within {self._config.load_seconds:g} s"
            refusal = RefusedError(503, "model_load_timeout", f"model {place.name!r}: {told}", 10)
        elif isinstance(reason, OSError):
            told = "the engine is not reachable"
            refusal = RefusedError(503, "engine_unavailable", f"{told}; try again in a moment", 2)
        else:
            told = str(reason)
            refusal = RefusedError(502, "model_load_failed", f"the engine did not load model {place.name!r}: {told}")
            place.first = False
        self._say("warning", "model not loaded", model=place.name, reason=told)
        wanted, now = place.pinned or place.first, self._loop.time()
        self._forget(place)
        if wanted:
            place.wanted = now + (RETRY_REFUSED_SECONDS if isinstance(reason, EngineError) else RETRY_SECONDS)
        hold = self._hold_seconds if refusal.code == "engine_unavailable" else 0
        place.not_before = now + HOLD_PAUSE if hold else 0.0
        for one, since in [*place.waiting.items()]:
            if now >= since + hold:
                del place.waiting[one]
                one.refused(refusal)
        self._doubt.set()

    async def _unload(self, place: Place, why: Reason) -> None:
        try:
            await self._engine.unload(place.named, UNLOAD_SECONDS)
        except (OSError, EngineError) as reason:
            self._say("warning", "model not unloaded", model=place.name, reason=str(reason) or type(reason).__name__)
            self._doubt.set()
        else:
            self.figures.evictions[why] += 1
            self._say("info", "model unloaded", model=place.name, why=why)
        self._forget(place)
        self._soon()

    def _forget(self, place: Place) -> None:
        """It is not loaded, whatever it was; the next time it begins anew."""
        now = self._loop.time()
        place.enter(Phase.COLD, now)
        place.keep_alive, place.leaving = self._config.keep_alive, False
        if place.pinned:
            place.wanted = now
        for farewell in place.farewells:
            if not farewell.done():
                farewell.set_result(None)
        place.farewells.clear()

    def _drifted(self, place: Place, what: str) -> None:
        self.figures.drifts += 1
        self._say("warning", what, model=place.name)

    def _engine_keeps(self, place: Place) -> float | None:
        return None if place.pinned else engine_seconds(place.keep_alive)

    async def _tell(self, place: Place) -> None:
        """Another keep-alive for a model that is loaded. Should the engine not hear, it is unloaded from here."""
        try:
            await self._engine.load(place.named, self._engine_keeps(place), self._config.load_seconds)
        except (OSError, EngineError) as reason:
            self._say("warning", "the engine was not told a keep-alive", model=place.name, reason=str(reason))
            self._doubt.set()


class _Asking:
    """Somebody who waits for a model without a request of a client's."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def admitted(self, place: Place) -> None:
        """It is there, and not needed any longer."""
        self._scheduler.leave(place)
        if not self.answer.done():
            self.answer.set_result(None)

    def refused(self, refusal: RefusedError) -> None:
        """It is not."""
        if not self.answer.done():
            self.answer.set_exception(refusal)

"""What operators say about loaded models: load this one, let that one go, keep it."""

import asyncio

from .place import Place, RefusedError
from .policy import NEVER, Phase
from .scheduler import Scheduler


async def preload(residency: Scheduler, model: str, named: str) -> None:
    """Have a model loaded. Raises RefusedError, also where it takes longer than any request may wait."""
    asking = _Asking(residency)
    place = residency.join(model, named, asking)
    seconds = residency.config.wait_seconds
    try:
        async with asyncio.timeout(seconds):
            await asking.answer
    except TimeoutError:
        message = f"model {model!r} was not loaded within {seconds:g} s; others are in its way"
        raise RefusedError(503, "model_wait_timeout", message, 10) from None
    finally:
        residency.cancel(place, asking)


async def unload(residency: Scheduler, model: str, named: str) -> None:
    """Have a model gone, as soon as its requests are over. Raises RefusedError, as for one that is pinned."""
    await residency.look()  # whoever says so may know better what is loaded
    place = residency.place(model, named)
    if place.pinned:
        raise RefusedError(409, "pinned", f"model {model!r} is pinned; take the pin away first")
    if place.phase is Phase.COLD:
        return
    farewell: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    place.farewells.append(farewell)
    residency.soon()
    await farewell


def pin(residency: Scheduler, model: str, named: str, *, pinned: bool) -> None:
    """Keep a model loaded from now on, or no longer than others. Raises RefusedError."""
    place = residency.place(model, named)
    if pinned and not place.pinned and not residency.room_for_pins(1):
        room = f"max-models is {residency.config.max_models}, and another model would never be loaded"
        raise RefusedError(409, "no_room", f"model {model!r} cannot be pinned beside the others: {room}")
    place.pinned = pinned
    if pinned:
        place.parted(RefusedError(409, "pinned", f"model {model!r} has been pinned meanwhile"))
    if place.phase is Phase.COLD:
        place.wanted = residency.now() if pinned else NEVER
    residency.soon()


class _Asking:
    """Somebody who waits for a model without a request of a client's."""

    def __init__(self, residency: Scheduler) -> None:
        self._residency = residency
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def admitted(self, place: Place) -> None:
        """It is there, and not needed any longer."""
        self._residency.leave(place)
        if not self.answer.done():
            self.answer.set_result(None)

    def refused(self, refusal: RefusedError) -> None:
        """It is not."""
        if not self.answer.done():
            self.answer.set_exception(refusal)

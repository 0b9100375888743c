"""The operators' commands: preload, unload and pin a model."""

import asyncio

from .policy import NEVER, Phase
from .scheduler import Scheduler
from .slot import ModelSlot, RefusedError


async def preload(residency: Scheduler, model: str, named: str) -> None:
    """Load a model and wait for it. Raises RefusedError, also after the longest wait of a request."""
    asking = _Preloading(residency)
    slot = residency.join(model, named, asking)
    seconds = residency.config.wait_seconds
    try:
        async with asyncio.timeout(seconds):
            await asking.answer
    except TimeoutError:
        message = f"model {model!r} was not loaded within {seconds:g} s: other models are in use. Fix: try again"
        raise RefusedError(503, "model_wait_timeout", message, 10) from None
    finally:
        residency.cancel(slot, asking)


async def unload(residency: Scheduler, model: str, named: str) -> None:
    """Unload a model as soon as its requests have ended. Raises RefusedError, for example if it is pinned."""
    await residency.look()  # the operator may know more than the last answer of the engine
    slot = residency.slot(model, named)
    if slot.pinned:
        raise RefusedError(409, "pinned", f"model {model!r} is pinned. Fix: remove the pin first")
    if slot.phase is Phase.COLD:
        return
    unloaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    slot.unload_waiters.append(unloaded)
    residency.soon()
    await unloaded


def pin(residency: Scheduler, model: str, named: str, *, pinned: bool) -> None:
    """Pin a model, or remove its pin. Raises RefusedError if no room is left for others."""
    slot = residency.slot(model, named)
    if pinned and not slot.pinned and not residency.room_for_pins(1):
        room = f"max-models is {residency.config.max_models}, and another model would never be loaded"
        raise RefusedError(409, "no_room", f"model {model!r} cannot be pinned beside the others: {room}")
    slot.pinned = pinned
    if pinned:
        slot.answer_unload_waiters(RefusedError(409, "pinned", f"model {model!r} was pinned in the meantime"))
    if slot.phase is Phase.COLD:
        slot.wanted = residency.now() if pinned else NEVER
    residency.soon()


class _Preloading:
    """A waiter without a client's request."""

    def __init__(self, residency: Scheduler) -> None:
        self._residency = residency
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def admitted(self, slot: ModelSlot) -> None:
        """Release the model at once: it is loaded, which was all."""
        self._residency.leave(slot)
        if not self.answer.done():
            self.answer.set_result(None)

    def refused(self, refusal: RefusedError) -> None:
        """Pass the refusal on."""
        if not self.answer.done():
            self.answer.set_exception(refusal)

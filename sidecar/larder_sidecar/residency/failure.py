"""The consequences of a failed load: the response to waiting requests, the next try, and the log line."""

from typing import NamedTuple

from ..config.residency import Residency
from .slot import RefusedError

RETRY_SECONDS = 2.0
"""Delay before a pin or preload is tried again at an engine that does not answer."""
RETRY_REFUSED_SECONDS = 30.0
"""Delay before a pin or preload is tried again at an engine that refused it."""


class Failure(NamedTuple):
    """A failed load: `text` goes into the log, `refusal` to the waiting requests."""

    text: str
    refusal: RefusedError
    unreachable: bool = False
    """The engine took no connection. A request may wait until it is back."""

    @property
    def again_seconds(self) -> float:
        """Seconds before a pin or preload is tried again."""
        return RETRY_SECONDS if self.unreachable else RETRY_REFUSED_SECONDS


def why(reason: Exception, model: str, config: Residency) -> Failure:
    """Classify the error `reason` of a load of `model`."""
    if isinstance(reason, TimeoutError):
        text = f"the engine did not load it within {config.load_seconds:g} s"
        return Failure(text, RefusedError(503, "model_load_timeout", f"model {model!r}: {text}", 10))
    if isinstance(reason, OSError):
        text = "the engine is not reachable"
        return Failure(
            text, RefusedError(503, "engine_unavailable", f"{text}; try again in a moment", 2), unreachable=True
        )
    text = str(reason) or type(reason).__name__
    message = f"the engine did not load model {model!r}: {text}"
    return Failure(text, RefusedError(502, "model_load_failed", message))

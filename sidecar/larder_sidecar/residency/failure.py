"""What a load that failed means: for those who wait, for the next try, and for the log."""

from typing import NamedTuple

from ..config.residency import Residency
from .place import RefusedError

RETRY_SECONDS = 2.0
"""Before a load that nobody waits for is tried again at an engine that does not answer, …"""
RETRY_REFUSED_SECONDS = 30.0
"""… or that answered with a refusal."""


class Failure(NamedTuple):
    """`told` is for the log, `refusal` for whoever waits."""

    told: str
    refusal: RefusedError
    unreachable: bool = False
    """The engine was not asked at all: a request may wait for it to come back."""

    @property
    def again_seconds(self) -> float:
        """When a load that nobody waits for is tried again."""
        return RETRY_SECONDS if self.unreachable else RETRY_REFUSED_SECONDS


def why(reason: Exception, model: str, config: Residency) -> Failure:
    """Of a load of `model` that ended with `reason`."""
    if isinstance(reason, TimeoutError):
        told = f"the engine did not load it within {config.load_seconds:g} s"
        return Failure(told, RefusedError(503, "model_load_timeout", f"model {model!r}: {told}", 10))
    if isinstance(reason, OSError):
        told = "the engine is not reachable"
        return Failure(
            told, RefusedError(503, "engine_unavailable", f"{told}; try again in a moment", 2), unreachable=True
        )
    told = str(reason) or type(reason).__name__
    message = f"the engine did not load model {model!r}: {told}"
    return Failure(told, RefusedError(502, "model_load_failed", message))

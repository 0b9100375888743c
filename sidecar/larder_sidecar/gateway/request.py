"""One request, with what the gateway finds out about it."""

from ..http.request import Request
from ..log import quoted
from ..residency.slot import ModelSlot
from .routes import Route


class GatewayRequest(Request):
    """A request on its way to a model."""

    __slots__ = ("cors", "model", "operation", "queued", "route", "rule", "slot")

    def __init__(self) -> None:
        super().__init__()
        self.cors: bytes | None = None
        """Header lines for browsers on any answer; None until its origin is judged."""
        self.route: Route | None = None
        """The route of its path; None until it is admitted."""
        self.operation = ""
        self.model = ""
        self.rule = ""
        """The rule that chose the model, or `default`, if the request left the choice."""
        self.slot: ModelSlot | None = None
        """The slot in which it is counted while the engine answers it."""
        self.queued = -1.0
        """Seconds that it waited for its model: 0 if that was loaded, negative if unknown."""

    def log_members(self) -> str:
        """Return its model, its rule and its wait in the queue."""
        model = f', "model": {quoted(self.model) if self.model else "null"}'
        rule = f', "rule": {quoted(self.rule)}' if self.rule else ""
        queued = f', "queue_ms": {self.queued * 1000:.0f}' if self.queued > 0 else ""
        return f"{model}{rule}{queued}"

    def forget_choice(self) -> None:
        """Drop the model and the rule."""
        self.model = self.rule = ""

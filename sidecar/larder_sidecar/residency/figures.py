"""What the residency of an engine comes to, counted: for GET /api/llm/stats and for Prometheus."""

from collections import Counter, defaultdict

from ..durations import Durations
from .policy import Reason


class Figures:
    """Plain numbers since the start of the process."""

    def __init__(self) -> None:
        self.hits = 0
        """Requests whose model was loaded and free for them."""
        self.misses = 0
        """Requests that had to wait for it."""
        self.loads: defaultdict[str, Durations] = defaultdict(Durations)
        """Finished loads by model."""
        self.failures: Counter[str] = Counter()
        """Failed ones."""
        self.evictions: Counter[Reason] = Counter({"expired": 0, "room": 0, "asked": 0})
        self.drifts = 0
        """Times that the engine held something else than was thought."""
        self.waits = Durations()
        """Of requests that were let through in the end."""

    def hit_rate(self) -> float | None:
        """Of all requests, those that found their model; None before the first."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None

    def mean_load(self) -> float | None:
        """Seconds of a load; None before the first."""
        count = sum(loads.count for loads in self.loads.values())
        return sum(loads.total for loads in self.loads.values()) / count if count else None

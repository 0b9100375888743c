"""Counters of one engine's residency, for GET /api/llm/stats and for Prometheus."""

from collections import Counter, defaultdict

from ..durations import Durations
from .policy import Reason


class Figures:
    """Counters since the start of the process."""

    def __init__(self) -> None:
        self.hits = 0
        """Requests whose model was open."""
        self.misses = 0
        """Requests that waited for their model."""
        self.loads: defaultdict[str, Durations] = defaultdict(Durations)
        """Durations of finished loads by model."""
        self.failures: Counter[str] = Counter()
        """Failed loads by model."""
        self.evictions: Counter[Reason] = Counter({"expired": 0, "room": 0, "asked": 0})
        self.drifts = 0
        """Times the engine's loaded models differed from the scheduler's view."""
        self.waits = Durations()
        """Waits of requests that were admitted."""

    def hit_rate(self) -> float | None:
        """Return the share of requests that found their model loaded; None before the first request."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None

    def mean_load(self) -> float | None:
        """Return the mean duration of a load in seconds; None before the first load."""
        count = sum(loads.count for loads in self.loads.values())
        return sum(loads.total for loads in self.loads.values()) / count if count else None

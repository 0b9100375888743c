"""A histogram of times as plain numbers: prometheus-client's own objects lock and walk their buckets at each event."""

from bisect import bisect_left

# OTel's buckets for gen_ai.server.request.duration, and two more for cold loads.
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68)


class Durations:
    """The histogram of one series."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts = [0] * (len(SECONDS) + 1)
        self.total = 0.0
        """Sum, in seconds."""

    def add(self, seconds: float) -> None:
        """Count one more."""
        self._counts[bisect_left(SECONDS, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """Return the number of observations."""
        return sum(self._counts)

    @property
    def mean(self) -> float | None:
        """Return the mean in seconds; None before the first observation."""
        return self.total / self.count if self.count else None

    def buckets(self) -> list[tuple[str, float]]:
        """Return upper bounds and cumulative counts, as Prometheus has them."""
        sums, running = [], 0
        for edge, count in zip((*map(str, SECONDS), "+Inf"), self._counts, strict=True):
            running += count
            sums.append((edge, float(running)))
        return sums

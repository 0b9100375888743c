"""`make plan`: the time of a preview without a cluster."""

import statistics
import sys

from .processes import wall

RUNS = 5


def measure() -> dict[str, float]:
    """Return the median seconds of `RUNS` runs of `make plan STACK=dev`, with Python packages installed."""
    command = [sys.executable, "-m", "preview", "plan", "--stack", "dev"]
    return {"plan.dev_s": statistics.median(wall(command) for _ in range(RUNS))}

"""`make plan`: how long a preview takes that needs no cluster."""

import statistics
import sys

from .processes import wall

RUNS = 5


def measure() -> dict[str, float]:
    """Seconds of `make plan STACK=dev` once its Python packages are there: the median of `RUNS`."""
    command = [sys.executable, "-m", "preview", "plan", "--stack", "dev"]
    return {"plan.dev_s": statistics.median(wall(command) for _ in range(RUNS))}

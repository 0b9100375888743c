"""The wait for a store that another pod fills; it writes nothing."""

import time
from pathlib import Path

from ...config.weights import WeightsPlan
from ..errors import WaitError
from ..progress import PERIOD, Reporter, Summary
from .marker import Fault, find_faults, read_marker

POLL_SECONDS = 0.5


def wait_for(plan: WeightsPlan, root: Path, seconds: float, reporter: Reporter) -> Summary:
    """Return when the marker of `plan` is there and every file has its size. Raises WaitError after `seconds`."""
    began, reported = time.monotonic(), 0.0
    while (problem := _find_problem(plan, root)) is not None:
        now = time.monotonic()
        if now - began >= seconds:
            raise WaitError(
                f"{root} does not hold the plan {plan.digest()[:12]} after {seconds:g} s: {problem}",
                "Look at the Job that fills it: kubectl get jobs, kubectl logs job/populate-...",
            )
        if now - reported >= PERIOD:
            reporter.event("waiting", reason=problem, seconds=round(now - began))
            reported = now
        time.sleep(min(POLL_SECONDS, max(0.0, began + seconds - now)))
    return Summary(0, plan.total_bytes(), time.monotonic() - began)


def _find_problem(plan: WeightsPlan, root: Path) -> str | None:
    marker = read_marker(root, plan.digest())
    if marker is None:
        return "it has no done marker yet"
    # Another time is no fault here: copies change it, and a reader cannot repair it.
    gone: list[Fault] = [fault for fault in find_faults(root, marker) if not fault.touched]
    return f"{gone[0].path} is missing or has another size" if gone else None

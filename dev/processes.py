"""Processes by number: pids come round again, and a dead process may linger as a zombie."""

from pathlib import Path


def started(pid: int) -> int | None:
    """Start time in clock ticks since boot, which with the pid names one process for ever; None once it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def program(pid: int) -> str | None:
    """Name of the program that runs under `pid`, None once it has ended."""
    return None if started(pid) is None else Path(f"/proc/{pid}/comm").read_text().strip()

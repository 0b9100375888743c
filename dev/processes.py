"""Processes by number: pids come round again, and a dead process may linger as a zombie."""

from pathlib import Path


def started(pid: int) -> int | None:
    """Return the start time in clock ticks since boot, which with the pid identifies a process; None after its end."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def program(pid: int) -> str | None:
    """Return the name of the program that runs under `pid`; None after its end."""
    return None if started(pid) is None else Path(f"/proc/{pid}/comm").read_text().strip()

"""Processes under measurement, each on its own core, with their use of CPU and memory."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
START_WITHIN = 20.0
CORES = os.sched_getaffinity(0)
TICK = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def started(core: int | None, *command: str) -> Iterator[tuple[int, str]]:
    """A Python module as a process on `core`, or on any: its pid and the first line it prints; killed at the end.

    What it prints goes to a file, as a container's log does. Raises RuntimeError when it prints nothing.
    """
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdout=log,
            preexec_fn=lambda: os.sched_setaffinity(0, CORES if core is None else {core}),
        )
        try:
            yield process.pid, _first_line(Path(log.name), process)
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def process(
    core: int | None, command: Sequence[str], env: Mapping[str, str], *, folder: Path, port: int
) -> Iterator[int]:
    """A program on `core`, or on any, that listens on `port` of loopback: its pid; killed at the end of the block.

    Raises RuntimeError when it does not listen.
    """
    with (folder / "output").open("wb") as output:
        running = subprocess.Popen(
            command, env=env, cwd=folder, stdout=output, stderr=output,
            preexec_fn=lambda: os.sched_setaffinity(0, CORES if core is None else {core}), start_new_session=True,
        )  # fmt: skip
        try:
            deadline = time.perf_counter() + START_WITHIN
            while not listens(port):
                if running.poll() is not None or time.perf_counter() > deadline:
                    msg = f"{command[0]} does not listen: {(folder / 'output').read_text()[-1000:]}"
                    raise RuntimeError(msg)
                time.sleep(0.005)
            yield running.pid
        finally:
            os.killpg(running.pid, signal.SIGKILL)  # what it has started goes with it
            running.wait()


def listens(port: int) -> bool:
    """Tell if a server accepts connections at a port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _first_line(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.perf_counter() + START_WITHIN
    while process.poll() is None and time.perf_counter() < deadline:
        line, end, _ = log.read_text().partition("\n")
        if end:
            return line
        time.sleep(0.005)
    msg = f"{process.args!r} did not say that it listens; exit code {process.poll()}"
    raise RuntimeError(msg)


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()
    ]
    return [pid, *(below for child in children for below in tree(child))]


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of the process so far, user and system, in steps of 1 / `TICK`."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_mb(pid: int) -> float:
    """Return the resident memory in 10^6 bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def wall(command: list[str]) -> float:
    """Return the seconds from start to end of a command that succeeds."""
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began

"""The command in a process that is forked from one that has imported it already.

An interpreter needs ten times as long for the imports as for what most of these tests look at. The rest is the same: a
process with its own signals, exit status, output and end.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from larder_sidecar.cli import main
from larder_sidecar.weights.download import cli as _imported_once

__all__ = ["Forked", "_imported_once"]

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__])


class Forked:
    """A running command; what `subprocess.Popen` has of the same name."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], folder: Path, stdout: int) -> None:
        self.stdout = None
        if stdout == subprocess.PIPE:
            read, stdout = os.pipe()
            self.stdout = os.fdopen(read)
        else:
            stdout = os.dup(stdout)
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
        with Connection(stdout, readable=False) as out, Connection(os.dup(self._errors.fileno())) as errors:
            self._process = _SERVER.Process(target=_run, args=(words, dict(environment), folder, out, errors))
            self._process.start()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("fetch", timeout or 0)
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: int) -> None:
        if self._process.pid and self.poll() is None:
            os.kill(self._process.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that it said to its end, on stdout and on stderr."""
        said = self.stdout.read() if self.stdout else ""
        self.wait(timeout)
        self._errors.seek(0)
        return said, self._errors.read()

    def close(self) -> None:
        self.kill()
        self.wait()
        for file in (self.stdout, self._errors):
            if file:
                file.close()


def _run(words: Sequence[str], environment: Mapping[str, str], folder: Path, *outputs: Connection) -> None:
    for number, output in enumerate(outputs, 1):
        os.dup2(output.fileno(), number)
        output.close()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.exit(main(words))

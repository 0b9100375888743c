"""A real engine's process, as a pod runs it: not root, loopback, an empty home."""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

NOBODY = 65_534


def built(name: str, part: str) -> Path | None:
    """The newest program of a tool that the toolchain built (testbed/toolchain)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "larder"
    found = [path for path in cache.glob(f"{name}-*/{part}") if ".partial" not in str(path)]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def lacking(reason: str) -> None:
    """Skip on a developer's machine, fail in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def placed(binary: Path, folder: Path) -> Path:
    """A copy that everybody can run: the toolchain lies in a home folder that only root may enter."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy2(binary, folder))


class Process:
    """A server; use as a context manager. `folder` must be readable by everybody: as root it runs as nobody."""

    def __init__(
        self, command: Sequence[str | Path], port: int, folder: Path, env: Mapping[str, str], *, probe: str = "/health"
    ) -> None:
        self.url, self.folder = f"http://127.0.0.1:{port}", folder
        self._command, self._env, self._probe = command, env, probe

    def __enter__(self) -> Self:
        home, somebody = self.folder / "home", NOBODY if os.geteuid() == 0 else None
        home.mkdir(exist_ok=True)
        if somebody is not None:
            os.chown(home, somebody, somebody)
        self._log = (self.folder / "log").open("w")
        self._process = subprocess.Popen(
            self._command,
            env={"PATH": "/usr/bin:/bin", "HOME": str(home), **self._env},
            cwd=home,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            user=somebody,
            group=somebody,
            extra_groups=[] if somebody is not None else None,
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                self.get(self._probe)
            except OSError:
                assert self._process.poll() is None, self.log()
                assert time.monotonic() < deadline, f"no answer: {self.log()}"
                time.sleep(0.05)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def children(self) -> list[int]:
        """Processes that it has started and that are still there."""
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text().split()]

    def log(self) -> str:
        return (self.folder / "log").read_text()[-4000:]

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def post(self, path: str, body: Mapping[str, Any], *, within: float = 60) -> str:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=within) as answer:
            return str(answer.read(), "utf-8")

"""A real Ollama over a store, as a pod runs it: not root, the store read-only, loopback, an empty home."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

NOBODY = 65_534


def find() -> Path | None:
    """The binary that LARDER_OLLAMA names, else the newest the toolchain built (testbed/toolchain)."""
    if named := os.environ.get("LARDER_OLLAMA"):
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "larder"
    built = [path for path in cache.glob("ollama-*/bin/ollama") if path.parents[1].suffix != ".partial"]
    return max(built, key=lambda path: path.stat().st_mtime, default=None)


class Ollama:
    """A server; use as a context manager. `folder` must be readable by everybody: as root it runs as nobody."""

    def __init__(self, binary: Path, store: Path, folder: Path, **env: str) -> None:
        self.store, self._folder, self._env = store, folder, env
        self._binary = folder / "ollama" / "bin" / "ollama"
        if not self._binary.exists():
            # Out of the reach of a home folder that only root may enter; the engine is looked for at ../lib/ollama.
            for part in ("bin/ollama", "lib/ollama/llama-server"):
                target = folder / "ollama" / part
                target.parent.mkdir(parents=True)
                shutil.copy2(binary.parents[1] / part, target)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"

    def __enter__(self) -> "Ollama":
        home, root = self._folder / "home", os.geteuid() == 0
        home.mkdir(exist_ok=True)
        if root:
            os.chown(home, NOBODY, NOBODY)
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "OLLAMA_HOST": self.url,
            "OLLAMA_MODELS": str(self.store),
            "OLLAMA_NOPRUNE": "1",
            "OLLAMA_NO_CLOUD": "1",
            **self._env,
        }
        somebody = NOBODY if root else None
        self._log = (self._folder / "log").open("w")
        self._process = subprocess.Popen(
            [str(self._binary), "serve"],
            env=environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            user=somebody,
            group=somebody,
            extra_groups=[] if root else None,
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                self.get("/api/version")
            except OSError:
                assert self._process.poll() is None, self.log()
                assert time.monotonic() < deadline, f"ollama does not answer: {self.log()}"
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

    def log(self) -> str:
        return (self._folder / "log").read_text()[-4000:]

    def maps_weights(self) -> bool:
        """Does an engine that Ollama started map a blob, rather than hold a copy of it?"""
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        children = [pid for task in tasks for pid in task.read_text().split()]
        assert children, "no model is loaded"
        return any("sha256-" in Path(f"/proc/{pid}/maps").read_text() for pid in children)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def post(self, path: str, body: dict[str, Any]) -> str:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(answer.read(), "utf-8")

"""The manager as a process, and a substitute for KServe's controller."""

import json
import os
import secrets
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.plugin.client import ApiError, Client

TOKEN = secrets.token_hex(16)


@dataclass
class Controller:
    """Plays KServe: gives the InferenceService the status that `verdicts` has for its model, else Ready."""

    api: Client
    namespace: str
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)
    delay: float = 0.0

    @property
    def path(self) -> str:
        return f"/apis/serving.kserve.io/v1beta1/namespaces/{self.namespace}/inferenceservices/active-llm"

    def get(self) -> dict[str, Any]:
        return dict(self.api.get(self.path))

    def serves(self) -> str:
        return str(self.get()["spec"]["predictor"]["model"]["storageUri"])

    def forget(self) -> None:
        """Delete the InferenceService for the next test."""
        with suppress(ApiError):
            self.api.delete(self.path, "Background")

    @contextmanager
    def running(self) -> Iterator["Controller"]:
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(stop,))
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()

    def _run(self, stop: threading.Event) -> None:
        done: object = None
        while not stop.wait(0.05):
            try:
                found = self.get()
            except ApiError:
                continue
            about = found["metadata"]
            notes = about["annotations"]
            seen = (about["generation"], notes.get("serving.kserve.io/stop"), notes["larder/model"])
            if seen == done:
                continue
            stop.wait(self.delay)
            stopped = str(seen[1] == "true").capitalize()
            ready = "False" if seen[1] else "True"
            conditions = [{"type": "Ready", "status": ready}, {"type": "Stopped", "status": stopped}]
            status = self.verdicts.get(seen[2], {"conditions": conditions})
            if not seen[1]:  # of what is stopped KServe forgets the generation
                status = {"observedGeneration": seen[0], **status}
            with suppress(ApiError):  # a test may just be forgetting it
                self.api.json_patch(f"{self.path}/status", [{"op": "add", "path": "/status", "value": status}])
                done = seen


@dataclass(frozen=True)
class Reply:
    status: int
    body: Mapping[str, Any]

    @property
    def message(self) -> str:
        return str(self.body["error"]["message"])


@dataclass(frozen=True)
class Manager:
    """`larder-sidecar manager` with the file of the program, its places moved to this host."""

    port: int

    def ask(self, path: str, content: object = None) -> Reply:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        data = None if content is None else json.dumps(content).encode()
        try:
            with urllib.request.urlopen(
                urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers), timeout=60
            ) as answer:
                return Reply(answer.status, json.load(answer))
        except urllib.error.HTTPError as error:
            return Reply(error.code, json.load(error))

    def activate(self, model: str) -> Reply:
        return self.ask("/models/activate", {"id": model})


@contextmanager
def started(settings: Mapping[str, Any], file: Path) -> Iterator[Manager]:
    """Run the process until the end of the block."""
    file.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "larder_sidecar", "manager", "--config", str(file)]
    env = dict(os.environ)
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Manager(json.loads(process.stdout.readline())["port"])
        finally:
            process.terminate()

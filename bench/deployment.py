"""An engine on the embedded cluster: start it, ask it once, stop it, and measure the times."""

import http.client
import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from testbed.cluster import shared
from testbed.cluster.cluster import Cluster
from testbed.cluster.layout import DISK, HOST

from .synthetic import FOLDER, NAMESPACE, SHARED

WITHIN = 900.0
"""Seconds for a pod to become ready, and for an answer to arrive."""
POLL = 0.1
ENGINE = "deployment/ollama"
PODS = ("get", "pods", "-l", "app.kubernetes.io/name=ollama", "-o", "json")
PORT = 30080
"""Port of the node with the entry, by default: components/settings/gateway.py."""
DROP_CACHES = Path("/proc/sys/vm/drop_caches")


@dataclass(frozen=True)
class Start:
    """Times of one start of an engine's pod, in seconds."""

    ready: float
    load: float
    first_token: float


class Deployment:
    """The manifests of one strategy on a cluster."""

    def __init__(self, cluster: Cluster, files: Mapping[str, str], model: str) -> None:
        self._cluster, self._model = cluster, model
        self._folder = HOST / "bench"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        for name, text in files.items():
            (self._folder / name).write_text(text)

    def cold(self) -> Start:
        """Deploy new objects with weights that this node has neither on disk nor in memory."""
        self._shared_volume()
        DROP_CACHES.write_text("3")
        return self._start("apply", "-f", str(self._folder))

    def warm(self) -> Start:
        """Replace the pod with a new one."""
        self._kubectl("scale", ENGINE, "--replicas=0")
        self._until(lambda: not self._pods(), "the engine's pod to go")
        return self._start("scale", ENGINE, "--replicas=1")

    def remove(self) -> None:
        """Remove all objects, and the contents of the volumes."""
        self._kubectl("delete", "--ignore-not-found", "-f", str(self._folder))
        self._kubectl("delete", "--ignore-not-found", "pv", SHARED)
        for folder in (FOLDER, SHARED):
            shutil.rmtree(DISK / folder, ignore_errors=True)

    # --- inside

    def _start(self, *command: str) -> Start:
        began = time.time()
        self._kubectl(*command)
        self._until(self._ready, "the engine's pod to be ready")
        readable = self._readable()
        load, first_token = self._ask()
        return Start(readable - began, load, first_token)

    def _ready(self) -> bool:
        for pod in self._pods():
            conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}
            return conditions.get("Ready") == "True"
        return False

    def _readable(self) -> float:
        """Return the time at which the container that brings the weights ended, or else at which the engine started."""
        (pod,) = self._pods()
        brings = any(c["name"] == "fetch" for c in pod["spec"].get("initContainers", []))
        name, container = pod["metadata"]["name"], "fetch" if brings else "ollama"
        lines = self._kubectl("logs", name, "-c", container, "--timestamps").splitlines()
        return _moment(next(line for line in lines if not brings or '"done"' in line))

    def _ask(self) -> tuple[float, float]:
        """Return the seconds until the model was loaded, and from there to the first word."""
        body = {"model": self._model, "stream": True, "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
        began = time.perf_counter()
        connection = http.client.HTTPConnection(self._cluster.address, PORT, timeout=WITHIN)
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.readline()
        seconds = time.perf_counter() - began
        load = int(answer.headers["x-larder-queue-ms"]) / 1000
        rest = answer.read()
        connection.close()
        if answer.status != 200:
            msg = f"{self._model}: {answer.status} {rest[:300].decode(errors='replace')}"
            raise RuntimeError(msg)
        return load, seconds - load

    def _pods(self) -> list[dict[str, Any]]:
        return list(json.loads(self._kubectl(*PODS))["items"])

    def _kubectl(self, *args: str) -> str:
        return self._cluster.kubectl("-n", NAMESPACE, *args, timeout=WITHIN)

    def _until(self, check: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WITHIN
        while not check():
            if time.monotonic() > deadline:
                msg = f"waited {WITHIN:.0f} s for {what}"
                raise RuntimeError(msg)
            time.sleep(POLL)

    def _shared_volume(self) -> None:
        """Create the volume that a storage class would provide."""
        shared.make_folder(SHARED)
        volume = shared.volume(SHARED, SHARED, size="64Gi", storage_class=SHARED)
        (HOST / "shared.json").write_text(json.dumps(volume))
        self._cluster.kubectl("apply", "-f", str(HOST / "shared.json"))


def pull(cluster: Cluster, images: Iterable[str]) -> None:
    """Pull the images first: their time is not part of any strategy."""
    for number, image in enumerate(images):
        run = ("run", f"pull-{number}", f"--image={image}", "--restart=Never")
        cluster.kubectl(*run, "--command", "--", "true", timeout=WITHIN)
        done = ("wait", f"pod/pull-{number}", "--for=jsonpath={.status.phase}=Succeeded", f"--timeout={WITHIN:.0f}s")
        cluster.kubectl(*done, timeout=WITHIN)
        cluster.kubectl("delete", "pod", f"pull-{number}", timeout=WITHIN)


def _moment(line: str) -> float:
    """Return the time stamp of a line, which has nanoseconds, in seconds since the epoch."""
    stamp = line.split(maxsplit=1)[0].removesuffix("Z")
    whole, _, part = stamp.partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp() + float(f"0.{part or 0}")

"""Two replicas of Ollama behind the front: each model stays where it is loaded, and a crash costs nobody a question."""

import contextlib
import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Platform
from .load import Load

pytestmark = pytest.mark.timeout(1800)
MODELS = ("tiny-random", "tiny-second")


@pytest.fixture(scope="module")
def replicated(platform: Platform) -> Iterator[Platform]:
    before = platform.stack_file.read_text()
    text = re.sub(r"(?m)^  larder:models: .*$", f"  larder:models: [{', '.join(MODELS)}]", before, count=1)
    text = re.sub(r"(?m)^  larder:ollama: .*$", "  larder:ollama: {pool: cpu, cpu: 100m, replicas: 2}", text, count=1)
    platform.stack_file.write_text(f"{text.rstrip()}\n  larder:gateway: {{residency: {{max-models: 1}}}}\n")
    try:
        platform.make("up")
        platform.serves()  # kube-proxy may lead to a gateway of old for a moment
        yield platform
    finally:
        platform.stack_file.write_text(before)
        platform.make("up")


def stats(platform: Platform) -> dict[str, Any]:
    with urllib.request.urlopen(f"{platform.url}/api/llm/stats", timeout=10) as answer:
        return dict(json.load(answer))


def pods(platform: Platform) -> list[dict[str, Any]]:
    """Return the pods that are not terminating."""
    found = platform.get("pods", "-l", "app.kubernetes.io/name=ollama")["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def asked(platform: Platform, model: str) -> str:
    """Tell if the model answered."""
    try:
        with urllib.request.urlopen(platform.chat(model=model), timeout=60) as answer:
            answer.read()
            return str(answer.headers["x-larder-cache"])
    except urllib.error.HTTPError as refusal:
        with refusal:
            pytest.fail(f"{refusal.code} {refusal.read()!r}")


def test_each_model_stays_on_the_replica_that_has_it(replicated: Platform) -> None:
    """Each has room for one: without affinity every other request would load a model."""
    for _ in range(2):  # both may be drawn to the same one at first
        for model in MODELS:
            asked(replicated, model)
            time.sleep(5)  # for both fronts to have looked
    met = [asked(replicated, model) for _ in range(6) for model in MODELS]
    told = stats(replicated)
    assert met == ["hit"] * len(met), told
    assert len({model for one in told["engines"].values() for model in one["loaded_models"]}) == 2


def test_a_replica_that_is_replaced_loses_no_request(replicated: Platform) -> None:
    with Load(replicated.url, "tiny-random", clients=4) as load:
        for pod in pods(replicated):
            replicated.kubectl("-n", "ai", "delete", "pod", pod["metadata"]["name"])
            replicated.kubectl("-n", "ai", "rollout", "status", "deployment/ollama", "--timeout=120s")
    assert load.failures == []
    assert load.answers > 0


def test_questions_are_held_while_engines_that_crashed_start_again(replicated: Platform) -> None:
    for pod in pods(replicated):
        crash(pod["metadata"]["uid"])
    started = time.monotonic()
    for model in MODELS:
        asked(replicated, model)
    assert time.monotonic() - started < 30
    restarts = [one["restartCount"] for pod in pods(replicated) for one in pod["status"]["containerStatuses"]]
    assert min(restarts) >= 1


def crash(uid: str) -> None:
    """Kill the engine of a pod, from the host: its processes are in the pod's cgroup."""
    killed = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes().split(b"\0")
            place = (process / "cgroup").read_text()
            if command[:2] == [command[0], b"serve"] and uid in place.replace("_", "-"):
                os.kill(int(process.name), signal.SIGKILL)
                killed += 1
    assert killed == 1, f"{killed} engines in pod {uid}"

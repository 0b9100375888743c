"""The page of a recorded walk has the figures of the record."""

import json
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.walk import Step, Walk, readable_seconds, summary, tour

DIFFERS = [
    "spec.template.spec.containers[0].volumeMounts[0].name",
    "spec.template.spec.containers[0].volumeMounts[1]",
    "spec.template.spec.volumes[0].emptyDir.sizeLimit",
    "spec.replicas",
]
CHANGES: list[dict[str, Any]] = [
    {"op": "update", "kind": "Deployment", "name": "ollama", "differs": DIFFERS},
    {"op": "create", "kind": "Job", "name": "preflight-1", "differs": []},
    {"op": "delete-replaced", "kind": "Job", "name": "populate-1", "differs": []},
    {"op": "replace", "kind": "Job", "name": "populate-2", "differs": ["metadata"]},
    {"op": "delete", "kind": "NetworkPolicy", "name": "larder-populate", "differs": []},
]


def walk(**changes: Any) -> Walk:
    step: dict[str, Any] = {
        "before": "none",
        "after": "image-volume",
        "preview": CHANGES,
        "answered": 41,
        "failed": ["12:00 reset"],
        "fetched_bytes": 3 * 2**20,
        "readable_seconds": 2,
        "up_seconds": 30.4,
    }
    steps = [Step(**(step | changes))]
    return Walk(model="m", weights_bytes=129_000, clients=8, kubernetes="v1.2.3", steps=steps, machine="x", date="d")


def test_a_step_is_a_row_with_its_failures(tmp_path: Path) -> None:
    walk().record(tmp_path)
    page = (tmp_path / "swap.md").read_text()
    assert "| none → image-volume | ~1 ±1 +1 -1 | 41 | 1 | 3.0 MiB | 2 s | 30 s |" in page
    assert "on d: x, Kubernetes v1.2.3, model `m` (0.1 MiB), 8 clients" in page
    assert "~ Deployment ollama   containers.volumeMounts, replicas, volumes\n+ Job preflight-1\n" in page
    assert "+ Job preflight-1\n± Job populate-2\n- NetworkPolicy larder-populate\n" in page
    assert json.loads((tmp_path / "swap.json").read_text())["steps"][0]["failed"] == ["12:00 reset"]
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".half"]


def test_a_walk_through_all_pairs_shows_the_pairs_and_the_previews_of_its_showpiece(tmp_path: Path) -> None:
    (step,) = walk(failed=[], hurt=["blobs/sha256-1"], left=["Job lost"]).steps
    places = ("none", "image-volume", "node-local")
    steps = [replace(step, before=before, after=after) for before, after in pairwise(tour(places))]
    steps[0] = replace(steps[0], failed=["12:00 reset"])
    replace(walk(), steps=steps).record(tmp_path)
    page = (tmp_path / "swap.md").read_text()
    assert "Recorded by `FULL=1 RECORD=1 make e2e ONLY=swap`" in page
    assert "6 swaps, 246 streamed chats answered completely, 1 failed." in page
    assert "lost or changed: 6." in page
    assert "state had after a swap: 6." in page
    assert "| from, to | none | node-local | image-volume |\n|---|--:|--:|--:|\n" in page
    assert "| **none** |  | 30 s, 3.0 MiB, **1 failed** | 30 s, 3.0 MiB |" in page
    assert page.count("```diff") == 3
    assert page.count(" | ~1 ±1 +1 -1 | 41 | ") == 6


def test_a_preview_without_a_change_says_so() -> None:
    assert summary([]) == "nothing"


def test_weights_are_readable_when_the_container_that_brings_them_is_done() -> None:
    done = {"name": "fetch", "state": {"terminated": {"finishedAt": "2026-01-01T00:01:02Z"}}}
    statuses = {"initContainerStatuses": [{"name": "gateway"}, done]}
    pod = {"metadata": {"creationTimestamp": "2026-01-01T00:00:59Z"}, "status": statuses}
    assert readable_seconds(pod) == 3


def test_weights_inside_the_engines_image_are_readable_when_it_starts() -> None:
    engine = {"name": "ollama", "state": {"running": {"startedAt": "2026-01-01T00:01:03Z"}}}
    statuses = {"initContainerStatuses": [{"name": "gateway"}], "containerStatuses": [engine]}
    pod = {"metadata": {"creationTimestamp": "2026-01-01T00:00:59Z"}, "status": statuses}
    assert readable_seconds(pod) == 4


@pytest.mark.parametrize("count", range(2, 8))
def test_a_tour_takes_every_ordered_pair_once_and_ends_where_it_began(count: int) -> None:
    places = [f"strategy-{number}" for number in range(count)]
    walked = tour(places)
    assert sorted(pairwise(walked)) == sorted(permutations(places, 2))
    assert walked[0] == walked[-1] == places[0]

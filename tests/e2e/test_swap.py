"""One line changes the caching strategy: no request fails, and present bytes are not fetched again."""

import json
import os
from collections.abc import Mapping
from itertools import pairwise

import pytest

from dev.paths import STATE
from preview.changes import changes
from tests.agreement import disagreements

from .conftest import ROOT, Platform
from .load import Load
from .walk import Step, Stopwatch, Walk, readable_seconds, tour

pytestmark = pytest.mark.timeout(3600)


CYCLE = ("none", "image-volume", "node-local", "none", "shared-storage", "node-local")
"""Ends where it has been: what is there must not be fetched again."""
KEPT = ("node-local", "shared-storage")
"""Strategies with a volume of their own."""
FULL = bool(os.environ.get("FULL"))
INSIDE = "prebuilt-image"
"""The strategy that mounts nothing: its weights lie in the engine's image."""
WALK = tour(("none", "image-volume", "node-local", "shared-storage", INSIDE)) if FULL else CYCLE


def test_clients_never_notice_a_swap_and_what_is_there_is_not_fetched_again(platform: Platform) -> None:
    platform.swap(WALK[0])
    platform.shared_disk()
    with Load(platform.url, "tiny-random") as load:
        walk = Walk(
            model="tiny-random",
            weights_bytes=platform.weights_bytes(),
            clients=load.clients,
            kubernetes=json.loads(platform.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"],
            steps=[step(platform, load, before, after) for before, after in pairwise(WALK)],
        )
    walk.record(STATE.parent / "swap")
    if os.environ.get("RECORD"):
        walk.record(ROOT / "docs")
    assert [step.failed for step in walk.steps] == [[]] * len(walk.steps)
    assert [step.hurt for step in walk.steps] == [[]] * len(walk.steps)
    assert [step.left for step in walk.steps] == [[]] * len(walk.steps)
    assert [step.disagreements for step in walk.steps] == [[]] * len(walk.steps)
    assert load.answers > 50
    kinds = {change["kind"] for step in walk.steps for change in step.preview}
    assert kinds & {"Deployment", "Job"} == {"Deployment", "Job"}
    assert not kinds & {"PersistentVolume", "PersistentVolumeClaim", "Service", "Namespace"}
    fetched = {(step.before, step.after): step.fetched_bytes for step in walk.steps}
    assert fetched["node-local", "none"] > 0
    again = [step for number, step in enumerate(walk.steps) if step.after in KEPT and step.after in WALK[: number + 1]]
    assert again
    assert [step.fetched_bytes for step in again] == [0] * len(again)


def step(platform: Platform, load: Load, before: str, after: str) -> Step:
    """Swap under load, and record the effects."""
    old = platform.plan()
    platform.write_strategy(after)
    blobs, sent, (answers, failures) = platform.weights(), platform.bytes_sent_by_hub(), load.so_far()
    preview = platform.preview()
    expected = changes(old, platform.plan())
    watch = Stopwatch()
    platform.make("up")
    seconds = watch.seconds()
    answered, failed = load.so_far()
    assert platform.weights_volume() == ("" if after == INSIDE else f"weights-{after}")
    return Step(
        before=before,
        after=after,
        preview=preview,
        disagreements=disagreements(expected, preview),
        answered=answered - answers,
        failed=load.failures[failures:failed],
        fetched_bytes=platform.bytes_sent_by_hub() - sent,
        readable_seconds=readable_seconds(platform.engine_pod()),
        up_seconds=seconds,
        hurt=hurt(blobs, platform.weights()),
        left=sorted(platform.strays()),
    )


def hurt(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Blobs that were there and are not as they were, and whatever is not what its name says."""
    gone = {path for path, sha256 in before.items() if after.get(path) != sha256}
    return sorted(gone | {path for path, sha256 in after.items() if not path.endswith(f"sha256-{sha256}")})

"""Weights of pruned plans leave the node's disk, only after no engine needs them."""

import re
from collections.abc import Iterator

import pytest

from .conftest import Platform

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def two_plans(platform: Platform) -> Iterator[str]:
    """Stack dev on its node's disk with two models; what a stack file is then that serves one of them."""
    committed = platform.stack_file.read_text()
    models = r"(?m)^  larder:models: .*$"
    platform.stack_file.write_text(re.sub(models, "  larder:models: [tiny-random, tiny-second]", committed, count=1))
    platform.swap("node-local")
    yield re.sub(models, "  larder:models: [tiny-random]", platform.stack_file.read_text(), count=1)
    platform.stack_file.write_text(committed)
    platform.make("up")


def _pruning(text: str, block: str) -> str:
    return re.sub(r"(?m)^(    node-local: \{.*)\}$", rf"\1, prune: {{{block}}}}}", text, count=1)


def test_what_only_the_last_plan_wanted_goes_and_its_bytes_are_told(platform: Platform, two_plans: str) -> None:
    before = platform.weights()
    platform.stack_file.write_text(_pruning(two_plans, "forget: [others], dry-run: true"))
    platform.make("up")
    assert platform.weights() == before
    announced = re.search(r"plan \w{12}.* would free (\d+) bytes", _told(platform))
    assert announced

    platform.stack_file.write_text(_pruning(two_plans, "forget: [others]"))
    platform.make("up")
    assert re.search(rf"plan \w{{12}}.* forgotten, {announced[1]} bytes freed", _told(platform))
    after = platform.weights()
    assert after.items() < before.items()
    assert "tiny-random" in platform.serves()
    assert platform.preview() == [], "it runs once"


def _told(platform: Platform) -> str:
    """Return the termination message of the Job's pod."""
    pods = platform.get("pods", "-l", "app.kubernetes.io/name=prune")["items"]
    (pod,) = (pod for pod in pods if "deletionTimestamp" not in pod["metadata"])
    return platform.terminated(pod["metadata"]["name"])

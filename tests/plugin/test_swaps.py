"""Swaps as observed with the official plugin 4.32 on Kubernetes 1.36: the stand-in fails in the same cases."""

import pytest

from tests.plugin.pods import UNSCHEDULED
from tests.plugin.stack import Stack, declared

pytestmark = pytest.mark.timeout(180)

EMPTY: dict = {"emptyDir": {}}
CLAIM = {"persistentVolumeClaim": {"claimName": "weights"}}


def engine(volume: str, source: dict, **spec: object) -> dict:
    labels = {"app": "engine"}
    container = {"name": "engine", "image": "e:1", "volumeMounts": [{"name": volume, "mountPath": "/weights"}]}
    pod = UNSCHEDULED | {"containers": [container], "volumes": [{"name": volume} | source]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "engine", "annotations": {"pulumi.com/skipAwait": "true"}},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}} | spec,
    }


def test_a_volume_that_changes_its_source_under_its_name_fails_in_preview_and_passes_in_up(stack: Stack):
    stack.declare(declared("engine", engine("weights", EMPTY)))
    stack.up()
    stack.declare(declared("engine", engine("weights", CLAIM)))
    assert "may not specify more than 1 volume type" in stack.refused("preview")
    stack.up()


def test_volumes_named_after_their_strategy_swap_both_ways(stack: Stack):
    none, node_local = engine("weights-none", EMPTY), engine("weights-node-local", CLAIM)
    stack.declare(declared("engine", none))
    stack.up()
    for target in (node_local, none, node_local):
        stack.declare(declared("engine", target))
        assert stack.steps()["engine"]["op"] == "update"
        stack.up()
        stack.done("preview", "--expect-no-changes")


ROLLING = {"strategy": {"type": "RollingUpdate"}}
RECREATE = {"strategy": {"type": "Recreate"}}


def test_leaving_a_defaulted_rolling_update_fails_in_preview_and_in_up(stack: Stack):
    """No manager owns what the API server filled in, so nobody takes it away again.

    After creation alone our POST still owns the filled-in fields; the first update, whatever it changes, lets them go.
    """
    stack.declare(declared("engine", engine("weights-none", EMPTY, **ROLLING)))
    stack.up()
    stack.declare(declared("engine", engine("weights-none", EMPTY, **ROLLING, minReadySeconds=1)))
    stack.up()
    stack.declare(declared("engine", engine("weights-none", EMPTY, **RECREATE)))
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        assert "may not be specified when strategy `type` is 'Recreate'" in stack.refused(*command)


STATED = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}
NO_OVERLAP = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}}


def test_a_stated_rolling_update_can_be_left_but_not_in_the_preview_right_after_creation(stack: Stack):
    """The preview is a dry run of a merge with the fields that our POST owns; the first up adopts them."""
    stack.declare(declared("engine", engine("weights-none", EMPTY, **STATED)))
    stack.up()
    stack.declare(declared("engine", engine("weights-none", EMPTY, **RECREATE)))
    assert "may not be specified when strategy `type` is 'Recreate'" in stack.refused("preview")
    stack.up()
    for target in (STATED, RECREATE):
        stack.declare(declared("engine", engine("weights-none", EMPTY, **target)))
        assert stack.steps()["engine"]["op"] == "update"
        stack.up()


def test_a_rolling_update_without_overlap_can_be_previewed_from_the_start(stack: Stack):
    for strategy in (STATED, NO_OVERLAP, STATED):
        stack.declare(declared("engine", engine("weights-none", EMPTY, **strategy)))
        assert stack.steps()["engine"]["op"] in ("create", "update")
        stack.up()

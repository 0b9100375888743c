"""Waits as `pulumi.com/` annotations ask for them."""

import pytest

from testbed.plugin.annotations import asks, can_read, is_met, stated


def annotated(**annotations: str) -> dict:
    return {"metadata": {"annotations": {f"pulumi.com/{name}": value for name, value in annotations.items()}}}


def test_switches_are_on_for_the_text_true_alone():
    assert asks(annotated(skipAwait="true"), "skipAwait")
    assert not asks(annotated(skipAwait="yes"), "skipAwait")
    assert not asks({"metadata": None}, "skipAwait")


LIVE = {
    "status": {
        "copies": {"available": 2, "total": 3},
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Stalled", "status": "False"}],
    }
}


@pytest.mark.parametrize(
    ("expression", "met"),
    [
        ("condition=Ready", True),
        ("condition=Stalled", False),
        ("condition=Missing", False),
        ("jsonpath={.status.copies.available}=2", True),
        ("jsonpath={.status.copies.available}=3", False),
        ("jsonpath={.status.copies.missing}=2", False),
        ("jsonpath={.status.conditions.type}=Ready", False),
    ],
)
def test_the_waits_of_the_program(expression, met):
    assert can_read(expression)
    assert is_met(expression, LIVE) is met
    assert not is_met(expression, {})


def test_a_condition_that_was_met_before_the_last_change_is_not_met():
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    assert is_met("condition=Ready", {"metadata": {"generation": 2}, "status": status})
    assert not is_met("condition=Ready", {"metadata": {"generation": 2}, "status": {**status, "observedGeneration": 1}})
    assert is_met("condition=Ready", {"metadata": {"generation": 2}, "status": {**status, "observedGeneration": 2}})


def test_no_annotation_states_nothing():
    assert stated({"metadata": {"name": "n", "annotations": {"kubernetes.io/description": "d"}}}) == {}


@pytest.mark.parametrize(
    "expression",
    [
        "delete",
        "condition=Ready=False",
        "jsonpath={.status.phase}",
        "jsonpath={.status.addresses[0].ip}=10.0.0.1",
        "jsonpath={..phase}=x",
        '["condition=Ready"]',
    ],
)
def test_other_waits_cannot_be_read(expression):
    assert not can_read(expression)

"""Names, timeouts and waits as urns and `pulumi.com/` annotations ask for them."""

import pytest

from testbed.plugin.annotations import asks, autoname, propagation, timeout, wait_for

URN = "urn:pulumi:dev::larder::larder:Stack$kubernetes:core/v1:ConfigMap::weights"


def annotated(**annotations: str) -> dict:
    return {"metadata": {"annotations": {f"pulumi.com/{name}": value for name, value in annotations.items()}}}


def test_an_object_without_a_name_gets_its_logical_name_and_eight_digits():
    assert autoname(URN, bytes.fromhex("0123456789ab"), "") == "weights-01234567"
    assert autoname(URN, b"", "") == autoname(URN, b"", "") != autoname(URN + "2", b"", "")


def test_the_engine_may_propose_a_name():
    assert autoname(URN, b"seed", "proposed") == "proposed"


def test_switches_are_on_for_the_text_true_alone():
    assert asks(annotated(skipAwait="true"), "skipAwait")
    assert not asks(annotated(skipAwait="yes"), "skipAwait")
    assert not asks({"metadata": None}, "skipAwait")


def test_custom_timeouts_win_over_the_annotation_and_that_over_the_default():
    assert timeout(annotated(timeoutSeconds="30"), 5.0, 600) == 5
    assert timeout(annotated(timeoutSeconds="30"), 0.0, 600) == 30
    assert timeout(annotated(timeoutSeconds="soon"), 0.0, 600) == 600


@pytest.mark.parametrize(
    ("stated", "policy"), [("", "Foreground"), ("background", "Background"), ("Orphan", "Orphan"), ("x", "Foreground")]
)
def test_deletion_reaches_dependents_in_the_foreground_by_default(stated, policy):
    assert propagation(annotated(deletionPropagationPolicy=stated)) == policy


LIVE = {
    "status": {
        "phase": "Running",
        "ready": True,
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Stalled", "status": "False"}],
        "addresses": [{"ip": "10.0.0.1"}],
    }
}


@pytest.mark.parametrize(
    ("expression", "met"),
    [
        ("condition=Ready", True),
        ("condition=Ready=True", True),
        ("condition=Stalled", False),
        ("condition=Stalled=False", True),
        ("condition=Missing", False),
        ("jsonpath={.status.phase}=Running", True),
        ("jsonpath={.status.phase}=Pending", False),
        ("jsonpath={.status.phase}", True),
        ("jsonpath={.status.missing}", False),
        ("jsonpath={.status.ready}=true", True),
        ("jsonpath={.status['phase']}=Running", True),
        ("jsonpath={.status.addresses[0].ip}=10.0.0.1", True),
        ("jsonpath={.status.addresses[*].ip}=10.0.0.1", True),
        ("jsonpath={.status.conditions[?(@.type=='Ready')].status}=True", True),
        ("jsonpath={.status.conditions[?(@.type=='Stalled')].status}=True", False),
        ('["condition=Ready", "jsonpath={.status.phase}=Running"]', True),
        ('["condition=Ready", "condition=Stalled"]', False),
    ],
)
def test_wait_for_conditions_and_paths(expression, met):
    wanted = wait_for(annotated(waitFor=expression))
    assert wanted
    assert all(one.met_by(LIVE) for one in wanted) is met


def test_a_condition_that_was_met_before_the_last_change_is_not_met():
    (wanted,) = wait_for(annotated(waitFor="condition=Ready"))
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    assert wanted.met_by({"metadata": {"generation": 2}, "status": status})
    assert not wanted.met_by({"metadata": {"generation": 2}, "status": {**status, "observedGeneration": 1}})
    assert wanted.met_by({"metadata": {"generation": 2}, "status": {**status, "observedGeneration": 2}})


@pytest.mark.parametrize("expression", ["delete", "jsonpath={.status[?@ == 'Running']}", "jsonpath={..phase}=x"])
def test_a_wait_that_cannot_be_read_is_refused_and_not_skipped(expression):
    with pytest.raises(ValueError, match=r"pulumi\.com/waitFor"):
        wait_for(annotated(waitFor=expression))

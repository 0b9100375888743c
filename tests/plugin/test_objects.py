"""The state that Pulumi keeps of a live object, and drift that a refresh reports."""

from testbed.plugin.objects import observed_inputs, outputs

LIVE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "larder",
        "namespace": "ai",
        "uid": "u",
        "resourceVersion": "7",
        "managedFields": [{"manager": "x"}],
        "labels": {"a": "1", "added": "by somebody"},
    },
    "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80, "protocol": "TCP"}]},
    "status": {"loadBalancer": {}},
}


def test_outputs_leave_out_the_field_owners_alone():
    kept = outputs(LIVE)
    assert "managedFields" not in kept["metadata"]
    assert kept["metadata"]["uid"] == "u"
    assert kept["status"] == {"loadBalancer": {}}
    assert "managedFields" in LIVE["metadata"]


def test_server_defaults_are_no_drift():
    inputs = {"kind": "Service", "metadata": {"labels": {"a": "1"}}, "spec": {"ports": [{"port": 80}]}}
    assert observed_inputs(LIVE, inputs) == inputs


def test_changed_removed_and_added_list_entries_are_drift():
    inputs = {"metadata": {"labels": {"a": "0", "gone": "x"}}, "spec": {"ports": []}}
    assert observed_inputs(LIVE, inputs) == {
        "metadata": {"labels": {"a": "1"}},
        "spec": {"ports": [{"port": 80, "protocol": "TCP"}]},
    }


def test_string_data_stays_as_stated_because_kubernetes_never_shows_it():
    inputs = {"kind": "Secret", "stringData": {"token": "abc"}, "data": {"a": "YQ=="}}
    live = {"kind": "Secret", "data": {"token": "YWJj", "a": "Yg=="}}
    assert observed_inputs(live, inputs) == inputs | {"data": {"a": "Yg=="}}

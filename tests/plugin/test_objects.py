"""The state that Pulumi keeps of a live object, and drift that a refresh reports."""

from testbed.plugin.objects import observed_inputs, outputs, stated

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


def test_imported_inputs_are_what_a_person_could_have_written():
    assert stated(LIVE) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "larder", "namespace": "ai", "labels": {"a": "1", "added": "by somebody"}},
        "spec": LIVE["spec"],
    }


def test_server_defaults_are_no_drift():
    inputs = {"kind": "Service", "metadata": {"labels": {"a": "1"}}, "spec": {"ports": [{"port": 80}]}}
    assert observed_inputs(LIVE, inputs) == inputs


def test_changed_removed_and_added_list_entries_are_drift():
    inputs = {"metadata": {"labels": {"a": "0", "gone": "x"}}, "spec": {"ports": []}}
    assert observed_inputs(LIVE, inputs) == {
        "metadata": {"labels": {"a": "1"}},
        "spec": {"ports": [{"port": 80, "protocol": "TCP"}]},
    }


def test_a_respelled_quantity_is_no_drift():
    live = {"spec": {"resources": {"limits": {"cpu": "500m"}}}}
    inputs = {"spec": {"resources": {"limits": {"cpu": "0.5"}}}}
    assert observed_inputs(live, inputs) == inputs


def test_string_data_is_found_again_in_the_data_of_the_secret():
    inputs = {"kind": "Secret", "stringData": {"token": "abc", "gone": "x"}}
    live = {"kind": "Secret", "data": {"token": "YWJj", "other": "Yg=="}}
    assert observed_inputs(live, inputs)["stringData"] == {"token": "abc"}

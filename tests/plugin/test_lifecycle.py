"""One object through its life: created once, unchanged, drifted, adopted, refused; by the real CLI and API server."""

import signal

import pytest

from testbed.plugin.client import Client
from tests.plugin.pods import UNSCHEDULED, becoming, crashed, until
from tests.plugin.stack import STAND_IN_ONLY, Stack, declared

pytestmark = pytest.mark.timeout(180)


def config_map(name: str = "settings", **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data or {"a": "1"}}


def deployment(**template: object) -> dict:
    labels = {"app": "engine"}
    spec = UNSCHEDULED | {"containers": [{"name": "engine", "image": "engine:1"}]} | template
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "engine"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


def test_a_second_up_changes_nothing_and_a_refresh_sees_no_drift(stack: Stack):
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "larder", "annotations": {"pulumi.com/skipAwait": "true"}},
        "spec": {"clusterIP": "None", "selector": {"app": "engine"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    resources = {"limits": {"cpu": "500m", "memory": "1Gi"}}
    engine = deployment(containers=[{"name": "engine", "image": "engine:1", "resources": resources}])
    engine["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    stack.declare(declared("map", config_map()), declared("service", service), declared("engine", engine))
    stack.up()
    stack.done("up", "--yes", "--skip-preview", "--expect-no-changes")
    stack.done("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    stack.done("preview", "--expect-no-changes")


def test_a_preview_leaves_the_cluster_as_it_is(stack: Stack, api: Client):
    stack.declare(declared("map", config_map(a="1")))
    stack.up()
    path = f"/api/v1/namespaces/{stack.namespace}/configmaps"
    before = api.get(f"{path}/settings")["metadata"]["resourceVersion"]
    stack.declare(declared("map", config_map(a="2")), declared("other", config_map("other")))
    steps = stack.steps()
    assert (steps["map"]["op"], steps["other"]["op"]) == ("update", "create")
    assert api.get(f"{path}/settings")["metadata"]["resourceVersion"] == before
    assert "other" not in [item["metadata"]["name"] for item in api.get(path)["items"]]


def test_a_field_that_is_no_longer_stated_disappears(stack: Stack, api: Client):
    stack.declare(declared("map", config_map(a="1", b="2")))
    stack.up()
    stack.declare(declared("map", config_map(a="1")))
    assert "- b" in stack.up()
    assert api.get(f"/api/v1/namespaces/{stack.namespace}/configmaps/settings")["data"] == {"a": "1"}


def test_drift_is_seen_by_a_refresh_and_whoever_made_it_is_not_overruled(stack: Stack, api: Client):
    path = f"/api/v1/namespaces/{stack.namespace}/configmaps/settings"
    stack.declare(declared("map", config_map(a="1")))
    stack.up()
    api.json_patch(path, [{"op": "replace", "path": "/data/a", "value": "9"}])
    stack.refused("refresh", "--preview-only", "--expect-no-changes")
    stack.done("refresh", "--yes", "--skip-preview")
    assert "data.a" in stack.refused("up", "--yes", "--skip-preview")  # somebody else owns the field now
    assert api.get(path)["data"] == {"a": "9"}
    api.json_patch(path, [{"op": "replace", "path": "/data/a", "value": "1"}])
    stack.up()
    stack.done("preview", "--expect-no-changes")


def test_an_object_that_somebody_deleted_is_made_again_after_a_refresh(stack: Stack, api: Client):
    stack.declare(declared("map", config_map()))
    stack.up()
    api.delete(f"/api/v1/namespaces/{stack.namespace}/configmaps/settings", "Background")
    stack.done("refresh", "--yes", "--skip-preview")
    assert stack.steps()["map"]["op"] == "create"
    stack.up()


def test_an_object_that_is_not_in_the_state_is_not_taken_over(stack: Stack, api: Client):
    api.create(f"/api/v1/namespaces/{stack.namespace}/configmaps", config_map(), dry_run=False)
    stack.declare(declared("map", config_map()))
    assert "already exists" in stack.refused("up", "--yes", "--skip-preview")


def test_what_is_ignored_does_not_change(stack: Stack, api: Client):
    stack.declare(declared("map", config_map(a="1")))
    stack.up()
    stack.declare(declared("map", config_map(a="2"), ignore_changes=["data"]))
    stack.done("preview", "--expect-no-changes")
    stack.up()
    assert api.get(f"/api/v1/namespaces/{stack.namespace}/configmaps/settings")["data"] == {"a": "1"}


@STAND_IN_ONLY
def test_an_import_is_refused(stack: Stack, api: Client):
    api.create(f"/api/v1/namespaces/{stack.namespace}/configmaps", config_map(), dry_run=False)
    stack.declare(declared("map", config_map(), import_=f"{stack.namespace}/settings"))
    assert "does not support importing resources" in stack.refused("up", "--yes", "--skip-preview")


@STAND_IN_ONLY
def test_what_the_stand_in_does_not_do_ends_the_command(stack: Stack):
    stack.declare(declared("map", config_map() | {"items": []}, type="ConfigMapList"))
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        assert "not supported by the stand-in: kubernetes:core/v1:ConfigMapList" in stack.refused(*command)


def test_a_secret_is_never_readable_in_output_or_state(stack: Stack):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "stringData": {"token": "geheim-7"}}
    stack.declare(declared("token", secret, secret=("stringData",)))
    text = stack.up()
    stack.declare(declared("token", secret | {"stringData": {"token": "geheim-8"}}, secret=("stringData",)))
    text += stack.done("preview", "--diff") + stack.up() + stack.done("refresh", "--yes", "--skip-preview", "--diff")
    state = "".join(path.read_text() for path in (stack.folder / "state").rglob("*.json"))
    for readable in ("geheim-7", "geheim-8", "Z2VoZWltLTg=", "Z2VoZWltLTc="):
        assert readable not in text
        assert readable not in state
    stack.done("preview", "--expect-no-changes")


@STAND_IN_ONLY
def test_a_refused_secret_is_not_quoted(stack: Stack):
    bad = config_map() | {"data": {"a": "1", "b/c": "2"}, "metadata": {"name": "settings", "labels": {"l": "geheim 7"}}}
    stack.declare(declared("map", bad, secret=("metadata",)))
    message = stack.refused("up", "--yes", "--skip-preview")
    assert "metadata.labels" in message
    assert "geheim 7" not in message


def test_what_did_not_become_ready_is_kept_and_names_the_containers_that_are_not(stack: Stack, api: Client):
    failing = deployment(initContainers=[{"name": "fetch", "image": "sidecar:1"}])
    stack.declare(declared("engine", failing, timeout="4s"))
    with becoming(api, stack.namespace, crashed("fetch", "the hub answers 404 for tinyllama")):
        message = stack.refused("up", "--yes", "--skip-preview")
    assert "timed out" in message
    assert "containers with incomplete status: [fetch]" in message
    # An init container's words are shown by kubectl alone (docs/when-it-fails.md).
    assert "the hub answers 404" not in message
    assert stack.state()["engine"]["id"] == f"{stack.namespace}/engine"
    stack.run("refresh", "--yes", "--skip-preview")
    assert "[fetch]" in " ".join(stack.state()["engine"]["initErrors"])
    failing["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    stack.declare(declared("engine", failing))
    stack.up()
    stack.done("preview", "--expect-no-changes")


def test_ctrl_c_ends_a_wait_and_keeps_what_was_made(stack: Stack, api: Client):
    stack.declare(declared("engine", deployment()))
    with stack.started("up", "--yes", "--skip-preview") as running:
        path = f"/apis/apps/v1/namespaces/{stack.namespace}/deployments"
        until(lambda: api.get(path)["items"])
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=20) != 0
    assert stack.state()["engine"]["id"] == f"{stack.namespace}/engine"


def test_names_and_namespaces_that_exist_only_after_up_do_not_break_a_preview(stack: Stack):
    stranger = config_map()
    stranger["metadata"]["namespace"] = f"{stack.namespace}-not-yet"
    stack.declare(declared("map", stranger))
    assert stack.steps()["map"]["op"] == "create"

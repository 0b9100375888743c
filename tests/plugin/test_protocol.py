"""The plugin as the Pulumi CLI starts it: a process that speaks gRPC, here without any cluster."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from testbed.plugin.values import UNKNOWN, Secret, decode, encode

ROOT = Path(__file__).resolve().parents[2]
IN_PLACE = {"enableConfigMapMutable": "true", "enableSecretMutable": "true"}
URN = "urn:pulumi:dev::larder::kubernetes:core/v1:ConfigMap::weights"
NOBODY = """
apiVersion: v1
current-context: c
clusters: [{name: c, cluster: {server: "https://127.0.0.1:9"}}]
contexts: [{name: c, context: {cluster: c, namespace: ai}}]
"""


@pytest.fixture(scope="module")
def process():
    environment = os.environ | {"KUBECONFIG": "", "HOME": "/nonexistent"}
    command = [sys.executable, "-m", "testbed.plugin.kubernetes", "127.0.0.1:9"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as started:
        yield started
        started.kill()


@pytest.fixture(scope="module")
def plugin(process, tmp_path_factory):
    nobody = tmp_path_factory.mktemp("nobody") / "config"
    nobody.write_text(NOBODY)
    port = int(process.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        stub.Handshake(provider_pb2.ProviderHandshakeRequest())
        configured = stub.Configure(provider_pb2.ConfigureRequest(args=encode({"kubeconfig": str(nobody), **IN_PLACE})))
        assert configured.acceptSecrets
        assert configured.supportsPreview
        yield stub


def manifest(**metadata: object) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}


def check(plugin, news: dict, olds: dict | None = None, urn: str = URN, **rest: Any):
    request = provider_pb2.CheckRequest(urn=urn, news=encode(news), olds=encode(olds or {}), **rest)
    answer = plugin.Check(request)
    return decode(answer.inputs), [(failure.property, failure.reason) for failure in answer.failures]


def diff(plugin, old: dict, new: dict, **rest: Any):
    return plugin.Diff(provider_pb2.DiffRequest(id="ai/w", urn=URN, old_inputs=encode(old), news=encode(new), **rest))


def test_a_name_that_is_known_only_after_up_stays_unknown(plugin):
    checked, failures = check(plugin, manifest(name=UNKNOWN))
    assert not failures
    assert checked["metadata"]["name"] is UNKNOWN


def test_secrets_stay_secret_through_check(plugin):
    checked, _ = check(plugin, manifest(name="w") | {"data": {"token": Secret("t"), "open": "o"}})
    assert checked["data"] == {"token": Secret("t"), "open": "o"}


@pytest.mark.parametrize(
    ("metadata", "property_"),
    [
        ({}, "metadata.name"),
        ({"name": "w", "annotations": {"pulumi.com/waitFor": "nonsense"}}, "metadata.annotations"),
    ],
)
def test_inputs_that_cannot_work_fail_the_check(plugin, metadata, property_):
    _, failures = check(plugin, manifest(**metadata))
    assert [name for name, _ in failures] == [property_]


def test_a_preview_without_a_cluster_returns_the_inputs(plugin):
    given = encode(manifest(name="w", namespace="ai"))
    created = plugin.Create(provider_pb2.CreateRequest(urn=URN, properties=given, preview=True))
    updated = plugin.Update(provider_pb2.UpdateRequest(urn=URN, id="ai/w", olds=given, news=given, preview=True))
    assert created.properties == updated.properties == given


def test_an_up_without_a_cluster_says_which_server_did_not_answer(plugin):
    with pytest.raises(grpc.RpcError, match=r"unreachable: https://127\.0\.0\.1:9: .*refused"):
        plugin.Create(provider_pb2.CreateRequest(urn=URN, properties=encode(manifest(name="w", namespace="ai"))))


def test_equal_inputs_are_no_change_whatever_the_live_object_says(plugin):
    same = manifest(name="w", namespace="ai")
    answer = diff(plugin, same, same, olds=encode({"spec": {"defaulted": True}}))
    assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE


def test_a_diff_names_properties_and_replacements(plugin):
    old = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "w", "namespace": "ai"}}
    answer = diff(
        plugin,
        old | {"spec": {"backoffLimit": 1, "template": {"spec": {"containers": [{"image": "a"}]}}}},
        old | {"spec": {"backoffLimit": 2, "template": {"spec": {"containers": [{"image": "b"}]}}}},
    )
    assert answer.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert set(answer.detailedDiff) == {"spec.backoffLimit", "spec.template.spec.containers[0].image"}
    assert list(answer.replaces) == ["spec.template.spec.containers[0].image"]
    assert answer.deleteBeforeReplace


def test_ignored_changes_are_no_change(plugin):
    old, new = manifest(name="w", namespace="ai"), manifest(name="w", namespace="ai") | {"data": {"a": "2"}}
    assert diff(plugin, old, new).changes == provider_pb2.DiffResponse.DIFF_SOME
    assert diff(plugin, old, new, ignoreChanges=["data"]).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_what_the_stand_in_does_not_do_is_said_and_not_faked(plugin):
    failures = plugin.CheckConfig(
        provider_pb2.CheckRequest(news=encode({"renderYamlToDirectory": "out", **IN_PLACE}))
    ).failures
    assert [failure.property for failure in failures] == ["renderYamlToDirectory"]
    with pytest.raises(grpc.RpcError, match="stand-in plugin has no functions") as caught:
        plugin.Invoke(provider_pb2.InvokeRequest(tok="kubernetes:helm:template"))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    with pytest.raises(grpc.RpcError, match="single objects only"):
        check(plugin, {**manifest(name="w"), "items": []}, urn=URN.replace("ConfigMap", "ConfigMapList"))


def test_a_patch_says_what_it_changes(plugin):
    _, ((path, _),) = check(plugin, manifest(), urn=URN.replace("ConfigMap", "ConfigMapPatch"))
    assert path == "metadata.name"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["kubernetes", "language_host"])
def test_the_cli_s_signal_ends_a_plugin_at_once(module, sent):
    """The CLI waits 5 s for each plugin that does not exit."""
    command = [sys.executable, "-m", f"testbed.plugin.{module}", "127.0.0.1:9"]
    environment = dict(os.environ)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert int(started.stdout.readline()) > 0
        started.send_signal(sent)
        assert started.wait(timeout=4) == 0


@pytest.mark.parametrize("module", ["kubernetes", "language_host"])
def test_a_plugin_does_not_outlive_a_cli_that_was_killed(module):
    command = f"{sys.executable} -m testbed.plugin.{module} 127.0.0.1:9 & wait"
    environment = dict(os.environ)
    with subprocess.Popen(["sh", "-c", command], env=environment, stdout=subprocess.PIPE, text=True) as cli:
        assert cli.stdout is not None
        assert int(cli.stdout.readline()) > 0
        cli.kill()
        assert cli.stdout.read() == ""  # its end: the plugin held the other side

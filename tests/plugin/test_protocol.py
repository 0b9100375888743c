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
contexts: [{name: c, context: {cluster: c}}]
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
        configured = stub.Configure(provider_pb2.ConfigureRequest(args=encode({"kubeconfig": str(nobody), **IN_PLACE})))
        assert configured.acceptSecrets
        assert configured.supportsPreview
        yield stub


def manifest(**metadata: object) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}


def check(plugin, news: dict) -> dict:
    answer = plugin.Check(provider_pb2.CheckRequest(urn=URN, news=encode(news)))
    assert not answer.failures
    return decode(answer.inputs)


def diff(plugin, old: dict, new: dict, **rest: Any):
    return plugin.Diff(provider_pb2.DiffRequest(id="ai/w", urn=URN, old_inputs=encode(old), news=encode(new), **rest))


def test_a_name_that_is_known_only_after_up_stays_unknown(plugin):
    assert check(plugin, manifest(name=UNKNOWN))["metadata"]["name"] == UNKNOWN


def test_secrets_stay_secret_through_check(plugin):
    checked = check(plugin, manifest(name="w") | {"data": {"token": Secret("t"), "open": "o"}})
    assert checked["data"] == {"token": Secret("t"), "open": "o"}


def test_a_preview_of_what_is_known_only_after_up_returns_the_inputs(plugin):
    given = encode(manifest(name=UNKNOWN, namespace="ai"))
    created = plugin.Create(provider_pb2.CreateRequest(urn=URN, properties=given, preview=True))
    updated = plugin.Update(provider_pb2.UpdateRequest(urn=URN, id="ai/w", olds=given, news=given, preview=True))
    assert created.properties == updated.properties == given


@pytest.mark.parametrize("preview", [True, False])
def test_a_cluster_that_does_not_answer_is_named(plugin, preview):
    given = encode(manifest(name="w", namespace="ai"))
    with pytest.raises(grpc.RpcError, match=r"unreachable: https://127\.0\.0\.1:9: .*refused"):
        plugin.Create(provider_pb2.CreateRequest(urn=URN, properties=given, preview=preview))


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


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ({"clusterIdentifier": "i"}, {"clusterIdentifier": "j"}, ["clusterIdentifier"]),
        ({"context": "a", "clusterIdentifier": "i"}, {"context": "b", "clusterIdentifier": "i"}, []),
        ({"context": "a"}, {"context": "a", "clusterIdentifier": "i"}, []),
    ],
)
def test_only_another_cluster_replaces_everything(plugin, old, new, replaced):
    answer = plugin.DiffConfig(provider_pb2.DiffRequest(olds=encode(old), news=encode(new)))
    assert answer.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert list(answer.replaces) == replaced


def test_what_the_stand_in_does_not_do_is_said_and_not_faked(plugin):
    with pytest.raises(grpc.RpcError, match="not supported by the stand-in: renderYamlToDirectory"):
        plugin.Configure(provider_pb2.ConfigureRequest(args=encode({"renderYamlToDirectory": "out", **IN_PLACE})))
    with pytest.raises(grpc.RpcError, match=r"not supported by the stand-in: an object without metadata\.name"):
        check(plugin, manifest())
    with pytest.raises(grpc.RpcError, match="not supported by the stand-in: Invoke") as caught:
        plugin.Invoke(provider_pb2.InvokeRequest(tok="kubernetes:helm:template"))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_fault_says_where_and_not_what_values_it_held(plugin):
    with pytest.raises(grpc.RpcError, match="stand-in plugin: KeyError") as caught:
        plugin.Create(provider_pb2.CreateRequest(urn=URN, properties=encode({"data": {"token": "geheim"}})))
    assert "objects.py" in str(caught.value)
    assert "geheim" not in str(caught.value)


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


def test_a_preview_without_a_kubeconfig_returns_the_inputs_and_an_up_is_refused(plugin):
    plugin.Configure(provider_pb2.ConfigureRequest(args=encode({"kubeconfig": "/nowhere", **IN_PLACE})))
    given = encode(manifest(name="w", namespace="ai"))
    created = plugin.Create(provider_pb2.CreateRequest(urn=URN, properties=given, preview=True))
    updated = plugin.Update(provider_pb2.UpdateRequest(urn=URN, id="ai/w", olds=given, news=given, preview=True))
    assert created.properties == updated.properties == given
    with pytest.raises(grpc.RpcError, match="/nowhere"):
        plugin.Create(provider_pb2.CreateRequest(urn=URN, properties=given))

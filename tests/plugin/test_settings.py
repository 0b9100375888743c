"""The provider's settings: honoured or refused, never ignored where it would matter."""

import pytest

from testbed.plugin.settings import parse, refusals, replaces_provider
from testbed.plugin.values import UNKNOWN


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        ({}, []),
        ({"enableServerSideApply": "true", "strictMode": "true", "kubeClientSettings": "{}"}, []),
        ({"renderYamlToDirectory": "out"}, ["renderYamlToDirectory"]),
        ({"enableServerSideApply": "false"}, ["enableServerSideApply"]),
        ({"enableServerSideApply": False, "cluster": "c"}, ["cluster", "enableServerSideApply"]),
        ({"upsertExistingObjects": "false", "renderYamlToDirectory": ""}, []),
    ],
)
def test_what_the_stand_in_cannot_do_is_refused(config, refused):
    assert [name for name, _ in refusals(config)] == refused


def test_switches_come_as_text_or_from_the_environment(monkeypatch):
    assert parse({"enableConfigMapMutable": "true"}).mutable.config_maps
    assert parse({"enableSecretMutable": True}).mutable.secrets
    assert not parse({}).mutable.config_maps
    monkeypatch.setenv("PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE", "true")
    assert parse({}).mutable.config_maps
    assert not parse({"enableConfigMapMutable": "false"}).mutable.config_maps


SAME, MOVED, UNTOLD = ("https://a", "https://a"), ("https://a", "https://b"), ("https://a", None)


@pytest.mark.parametrize(
    ("old", "new", "servers", "replaced"),
    [
        ({"kubeconfig": "a"}, {"kubeconfig": "a2"}, SAME, []),
        ({"kubeconfig": "a"}, {"kubeconfig": "b"}, MOVED, ["kubeconfig"]),
        ({"kubeconfig": "a", "context": "x"}, {"kubeconfig": "a", "context": "y"}, MOVED, ["context"]),
        ({"kubeconfig": "a"}, {"kubeconfig": UNKNOWN}, UNTOLD, ["kubeconfig"]),
        ({"kubeconfig": "a"}, {"kubeconfig": "broken"}, UNTOLD, []),
        ({"kubeconfig": "a", "clusterIdentifier": "i"}, {"kubeconfig": "b", "clusterIdentifier": "i"}, MOVED, []),
        ({"clusterIdentifier": "i"}, {"clusterIdentifier": "j"}, SAME, ["clusterIdentifier"]),
        ({"kubeconfig": "a"}, {"kubeconfig": "a", "clusterIdentifier": "i"}, SAME, []),
        ({"namespace": "a"}, {"namespace": "b"}, SAME, []),
    ],
)
def test_only_another_cluster_replaces_everything(old, new, servers, replaced):
    assert replaces_provider(old, new, servers) == replaced

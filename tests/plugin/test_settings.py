"""The provider's settings: each is honoured or refused, and none is ignored silently."""

import pytest

from testbed.plugin.settings import Settings, parse, refusals, replaces_provider
from testbed.plugin.values import UNKNOWN

IN_PLACE = {"enableConfigMapMutable": True, "enableSecretMutable": "true"}


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        (IN_PLACE, []),
        ({**IN_PLACE, "enableServerSideApply": "true", "strictMode": "true", "kubeClientSettings": "{}"}, []),
        ({**IN_PLACE, "renderYamlToDirectory": "out"}, ["renderYamlToDirectory"]),
        ({**IN_PLACE, "enableServerSideApply": False, "cluster": "c"}, ["cluster", "enableServerSideApply"]),
        ({**IN_PLACE, "upsertExistingObjects": "false", "renderYamlToDirectory": ""}, []),
        ({"enableConfigMapMutable": True, "enableSecretMutable": False}, ["enableSecretMutable"]),
        ({}, ["enableConfigMapMutable", "enableSecretMutable"]),
    ],
)
def test_what_the_stand_in_cannot_do_is_refused(config, refused):
    assert [name for name, _ in refusals(config)] == refused


def test_what_is_empty_or_unknown_is_not_set():
    assert parse({"context": "larder", "namespace": "", "kubeconfig": UNKNOWN}) == Settings(context="larder")


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ({"clusterIdentifier": "i"}, {"clusterIdentifier": "j"}, ["clusterIdentifier"]),
        ({"kubeconfig": "a", "clusterIdentifier": "i"}, {"kubeconfig": "b", "clusterIdentifier": "i"}, []),
        ({"kubeconfig": "a"}, {"kubeconfig": "a", "clusterIdentifier": "i"}, []),
        ({"namespace": "a"}, {"namespace": "b"}, []),
    ],
)
def test_only_another_cluster_replaces_everything(old, new, replaced):
    assert replaces_provider(old, new) == replaced

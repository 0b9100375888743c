"""Refusals of options, objects and annotations that the program does not use; none of them is ignored."""

import pytest

from testbed.plugin.refusals import NotSupportedError, check_object, check_options

IN_PLACE = {"enableConfigMapMutable": True, "enableSecretMutable": "true"}


@pytest.mark.parametrize(
    "options",
    [
        IN_PLACE,
        {**IN_PLACE, "kubeconfig": "f", "context": "c", "clusterIdentifier": "c", "version": "4"},
        {**IN_PLACE, "cluster": "", "x": "false"},
    ],
)
def test_the_options_of_the_program_are_served(options):
    check_options(options)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({**IN_PLACE, "renderYamlToDirectory": "out"}, "renderYamlToDirectory"),
        ({**IN_PLACE, "namespace": "ai", "cluster": "c"}, "namespace; cluster"),
        ({**IN_PLACE, "enableSecretMutable": False}, "enableSecretMutable other than true"),
        ({}, "enableConfigMapMutable other than true; enableSecretMutable other than true"),
    ],
)
def test_other_options_are_refused(options, named):
    with pytest.raises(NotSupportedError) as caught:
        check_options(options)
    assert str(caught.value) == f"not supported by the stand-in: {named}"


def manifest(kind: str, **annotations: str) -> dict:
    about = {"name": "n", "annotations": {f"pulumi.com/{name}": value for name, value in annotations.items()}}
    return {"apiVersion": "v1", "kind": kind, "metadata": about}


@pytest.mark.parametrize(
    "declared",
    [
        manifest("ConfigMap"),
        manifest("Job", replaceUnready="true"),
        manifest("Service", skipAwait="true"),
        manifest("InferenceService", waitFor="condition=Ready"),
        {"kind": "Whatever", "metadata": {"name": "n", "annotations": {"other.com/skipAwait": "1"}}},
    ],
)
def test_the_objects_of_the_program_are_served(declared):
    check_object("kubernetes:core/v1:Any", declared)


@pytest.mark.parametrize(
    ("resource_type", "declared", "named"),
    [
        ("kubernetes:helm.sh/v3:Release", {}, "kubernetes:helm.sh/v3:Release, because it stands for several objects"),
        ("kubernetes:core/v1:ConfigMapList", {"items": []}, "kubernetes:core/v1:ConfigMapList, because"),
        ("kubernetes:core/v1:ConfigMap", {"metadata": {"generateName": "n-"}}, "an object without metadata.name"),
        ("kubernetes:core/v1:ConfigMap", {}, "an object without metadata.name"),
        ("kubernetes:core/v1:ConfigMap", manifest("ConfigMap", patchForce="true"), "annotation pulumi.com/patchForce"),
        ("kubernetes:core/v1:Pod", manifest("Pod", waitFor="delete"), "pulumi.com/waitFor: delete"),
        (
            "kubernetes:core/v1:Service",
            manifest("Service"),
            "a wait for a Service; annotate it with pulumi.com/skipAwait",
        ),
        ("kubernetes:apps/v1:StatefulSet", manifest("StatefulSet", skipAwait="no"), "a wait for a StatefulSet"),
    ],
)
def test_other_objects_are_refused(resource_type, declared, named):
    with pytest.raises(NotSupportedError) as caught:
        check_object(resource_type, declared)
    assert str(caught.value).startswith("not supported by the stand-in: ")
    assert named in str(caught.value)

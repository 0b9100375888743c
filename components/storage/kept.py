"""What every volume of weights has in common: it stays, for one claim, and nobody waits for that."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes.core import v1 as core

NOBODY_WAITS: Mapping[str, str] = {"pulumi.com/skipAwait": "true"}
"""Annotation of a claim: pods wait for what they mount; under a strategy that mounts nothing nobody has to."""


def kept(depends_on: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
    """Weights are gigabytes that took hours to get: neither `destroy` nor a dropped block may delete them."""
    return pulumi.ResourceOptions(protect=True, retain_on_delete=True, depends_on=list(depends_on))


def kept_for(claim: str, namespace: pulumi.Input[str]) -> core.ObjectReferenceArgsDict:
    """The claim that a volume is for: without it any one of its class, in any namespace, could take the volume."""
    return {"api_version": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim}


def bound_to(volume: pulumi.Resource) -> pulumi.ResourceOptions:
    """Of a claim on a volume of ours: what it asked for cannot change, and no disk is cut by it."""
    return pulumi.ResourceOptions(depends_on=[volume], ignore_changes=["spec.resources"])

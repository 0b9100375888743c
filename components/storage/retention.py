"""Resource options shared by all weight volumes: protected, retained, bound to one claim, not awaited."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes.core import v1 as core

SKIP_AWAIT: Mapping[str, str] = {"pulumi.com/skipAwait": "true"}
"""Annotation of a claim. Pods wait for the claims that they mount, so `up` need not wait for unmounted ones."""


def protect_options(depends_on: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
    """Return options that keep weights, which took hours to get, from `destroy` and from a dropped block."""
    return pulumi.ResourceOptions(protect=True, retain_on_delete=True, depends_on=list(depends_on))


def claim_reference(claim: str, namespace: pulumi.Input[str]) -> core.ObjectReferenceArgsDict:
    """Return the claim of a volume. Without it, any claim of the class in any namespace could take the volume."""
    return {"api_version": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim}


def bound_to(volume: pulumi.Resource) -> pulumi.ResourceOptions:
    """Return the options of a claim on `volume`: its request is immutable, and limits no disk."""
    return pulumi.ResourceOptions(depends_on=[volume], ignore_changes=["spec.resources"])

"""Disks, claims, nodes and images that are not what a stack file says, and what its operator has to be told of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from testbed.cluster.layout import REGISTRY_NAME

NOT_HERE = f"{REGISTRY_NAME}/gone@sha256:{'0' * 64}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A Job of the program that cannot succeed.

    `says` holds the words of `pulumi up`, and `events` those that the events of the Job's pod alone have.
    """

    strategy: str
    cache: Mapping[str, Any] = field(default_factory=dict)
    overlay: Mapping[str, Any] = field(default_factory=dict)
    job: str = "preflight-"
    says: tuple[str, ...]
    events: tuple[str, ...] = ()


def on_a_share(claim: str, *says: str, events: tuple[str, ...] = ()) -> Case:
    """The share of the strategy is a claim of others, and `claim` says what is wrong with it."""
    cache = {"shared-storage": {"nfs": None, "claim": claim}}
    return Case(strategy="shared-storage", cache=cache, job="populate-shared-", says=says, events=events)


def weights_image(reference: str, *says: str) -> Case:
    """The image of the model's weights."""
    return Case(strategy="image-volume", cache={"image-volume": {"images": {"tiny-random": reference}}}, says=says)


def cases(arm64: str, cut: str) -> dict[str, Case]:
    """By what is wrong; the references are those of images for another platform, and with a truncated layer."""
    return {
        "full": on_a_share("full", "[BackoffLimitExceeded]", "bytes are needed", "are missing. Make the volume larger"),
        "read-only": on_a_share("read-only", "[BackoffLimitExceeded]", "Read-only file system", "Mount it writable"),
        "not ours": on_a_share(
            "not-ours", "[BackoffLimitExceeded]", "Permission denied", "Mount it writable for uid 1000"
        ),
        "no folder": on_a_share(
            "no-folder",
            "[DeadlineExceeded]",
            "containers with unready status: [fetch]",
            events=("FailedMount", "is not a directory"),
        ),
        "not provisioned": on_a_share(
            "not-provisioned",
            "[DeadlineExceeded]",
            events=("FailedScheduling", "unbound immediate PersistentVolumeClaims"),
        ),
        "no node": Case(
            strategy="none",
            cache={"node-local": {"node": "venus"}},
            overlay={"larder:node-pools": {"cpu": {"hosts": ["larder", "venus"]}}},
            job="prepare-path-",
            says=("[DeadlineExceeded]",),
            events=("FailedScheduling", "0/1 nodes are available", "node affinity/selector"),
        ),
        "no image": weights_image(NOT_HERE, "[DeadlineExceeded]", "not found"),
        "cut image": weights_image(cut, "[DeadlineExceeded]", "short read: expected", "unexpected EOF"),
        "image of another platform": weights_image(arm64, "[DeadlineExceeded]", "no match for platform"),
        "engine of another platform": Case(
            strategy="prebuilt-image",
            cache={"prebuilt-image": {"image": arm64}},
            says=("[DeadlineExceeded]", "no match for platform"),
        ),
    }

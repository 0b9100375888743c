"""larder:cache: how weights get to the engines, and the data volumes that stay whatever the strategy is."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal

from larder_sidecar.config.base import kebab
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from .base import Block, Known
from .cluster import CLOUDS
from .image_volume import ImageVolume
from .names import choices, did_you_mean
from .node_pools import Host
from .prebuilt_image import PrebuiltImage
from .quantities import Bandwidth, Size
from .shared_storage import SharedStorage
from .strategy import StrategyBlock, refuse_too_small, share

Strategy = Literal["none", "prebuilt-image", "image-volume", "shared-storage", "node-local"]


_OF_THE_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "root", "run", "sbin", "sys", "tmp", "usr")
_OF_A_DAEMON = ("cni", "containerd", "containers", "crio", "docker", "dpkg", "etcd", "kubelet", "rancher", "systemd")
"""Folders of /var/lib that the node itself writes."""
_PATH = re.compile(r"(/+[A-Za-z0-9_.@+-]+){2,}/*")


def _folder(path: str) -> str:
    parts = PurePosixPath(path).parts
    if len(path) > 1024 or not _PATH.fullmatch(path) or ".." in parts or len(parts) < 3:
        msg = (
            f"{path[:80]!r} is not a folder to keep weights in. "
            "Write an absolute path of at least two plain parts without '..', as in /var/lib/larder."
        )
        raise ValueError(msg)
    daemons = parts[1:3] == ("var", "lib") and parts[3:4] and parts[3] in _OF_A_DAEMON
    if daemons or parts[1] in _OF_THE_SYSTEM or (parts[1] == "var" and len(parts) < 4):
        # Mounting gives the whole folder to the group of our pods.
        msg = f"{path!r} belongs to the system of the node. Write a folder of its own, as in /var/lib/larder."
        raise ValueError(msg)
    return "/" + "/".join(parts[1:])


class NodeLocal(StrategyBlock):
    """A folder on the disk of one node, as a volume named `<node>-model-storage`."""

    EXAMPLE = "{node, path, size}"

    node: Host
    """The node that holds the disk; a host of some pool in larder:node-pools."""
    path: Annotated[str, AfterValidator(_folder)]
    """The folder on that node."""
    size: Size
    """How much of the disk the volume stands for. Kubernetes does not enforce it."""
    prepare_path: bool = False
    """Make the folder by a Job when it is not there."""

    @field_validator("node")
    @classmethod
    def _some_pool_provides_it(cls, node: str, info: ValidationInfo) -> str:
        known = Known.of(info)
        if known and known.hosts is not None and node not in known.hosts:
            if known.kind in CLOUDS:
                msg = f"nodes of kind {known.kind} come and go, disks and all. Drop the block; choose another strategy."
                raise ValueError(msg)
            msg = (
                f"no node pool provides host {node!r}. {did_you_mean(node, known.hosts)}"
                f"Known hosts: {choices(known.hosts)}. Add it to larder:node-pools or choose one of them."
            )
            raise ValueError(msg)
        return node

    def check(self, known: Known) -> None:
        """The weights must fit."""
        refuse_too_small(self.size, known)

    def place(self, total: int) -> str:
        """Where the weights are."""
        return f"on node {self.node}, {share(total, self.size)}"


class Cache(Block):
    """One line swaps how weights reach the engine: `strategy`."""

    strategy: Strategy
    """How weights reach the engine: none, prebuilt-image, image-volume, shared-storage or node-local."""
    min_bandwidth: Bandwidth = "20MiB/s"
    """The slowest download to wait for. Every deadline that depends on weights is bytes / min-bandwidth + 120 s."""
    node_local: NodeLocal | None = Field(None, validate_default=True)
    """The local volume. Declared and kept whatever the strategy is; strategy node-local mounts it."""
    shared_storage: SharedStorage | None = Field(None, validate_default=True)
    """The shared volume. Declared and kept whatever the strategy is; strategy shared-storage mounts it."""
    image_volume: ImageVolume | None = Field(None, validate_default=True)
    """Images of the weights; strategy image-volume mounts them."""
    prebuilt_image: PrebuiltImage | None = Field(None, validate_default=True)
    """The engine's image with the weights inside; strategy prebuilt-image runs it."""

    @property
    def block(self) -> StrategyBlock | None:
        """The block of the strategy in force; None where it needs none."""
        blocks = {
            "node-local": self.node_local,
            "shared-storage": self.shared_storage,
            "image-volume": self.image_volume,
            "prebuilt-image": self.prebuilt_image,
        }
        return blocks.get(self.strategy)

    @property
    def weights_host(self) -> str | None:
        """The only node that can reach the weights; None where all can."""
        return self.node_local.node if self.strategy == "node-local" and self.node_local else None

    @field_validator("node_local", "shared_storage", "image_volume", "prebuilt_image")
    @classmethod
    def _fits_the_strategy(cls, block: StrategyBlock | None, info: ValidationInfo) -> StrategyBlock | None:
        name = info.field_name or ""
        if info.data.get("strategy") != kebab(name):
            return block
        if block is None:
            example = _EXAMPLES[name]
            msg = f"is missing, and strategy {kebab(name)!r} needs it. Write {example}, or choose strategy none."
            raise ValueError(msg)
        if known := Known.of(info):
            block.check(known)
        return block


_EXAMPLES = {
    "node_local": NodeLocal.EXAMPLE,
    "shared_storage": SharedStorage.EXAMPLE,
    "image_volume": ImageVolume.EXAMPLE,
    "prebuilt_image": PrebuiltImage.EXAMPLE,
}

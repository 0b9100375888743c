"""larder:cache: how weights get to the engines, and the data volumes that stay whatever the strategy is."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from .base import Block, Known
from .cluster import CLOUDS
from .names import choices, did_you_mean
from .node_pools import Host
from .quantities import Bandwidth, Size, readable, size_bytes

Strategy = Literal["none", "node-local"]


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


class NodeLocal(Block):
    """A folder on the disk of one node, as a volume named `<node>-model-storage`."""

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


class Cache(Block):
    """One line swaps how weights reach the engine: `strategy`."""

    strategy: Strategy
    """How weights reach the engine: none (fetched at each start) or node-local (once a node)."""
    min_bandwidth: Bandwidth = "20MiB/s"
    """The slowest download to wait for. Every deadline that depends on weights is bytes / min-bandwidth + 120 s."""
    node_local: NodeLocal | None = Field(None, validate_default=True)
    """The local volume. Declared and kept whatever the strategy is; strategy node-local mounts it."""

    @property
    def weights_host(self) -> str | None:
        """The only node that can reach the weights; None where all can."""
        return self.node_local.node if self.strategy == "node-local" and self.node_local else None

    @field_validator("node_local")
    @classmethod
    def _fits_the_strategy(cls, block: NodeLocal | None, info: ValidationInfo) -> NodeLocal | None:
        if info.data.get("strategy") != "node-local":
            return block
        if block is None:
            msg = "is missing, and strategy 'node-local' needs it. Write {node, path, size}, or choose strategy none."
            raise ValueError(msg)
        known = Known.of(info)
        planned = sum(entry.bytes for entry in known.models) if known and known.models else 0
        if size_bytes(block.size) < planned:
            msg = (
                f"size {block.size} is smaller than the weights of larder:models ({readable(planned)}). "
                "Make the volume larger or serve fewer models."
            )
            raise ValueError(msg)
        return block

"""larder:cache.node-local: folders on the disks of nodes, and the base of every block with a folder on a node."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Self

from larder_sidecar.catalog import CatalogEntry
from pydantic import AfterValidator, model_validator

from .base import Block
from .names import choices, did_you_mean
from .node_pools import Host, hosts_of, unknown_pool
from .problem import Problem, each
from .prune import Prune
from .quantities import Size
from .room import roomy_for
from .strategy import Made, Need, StrategySettings, populates, share

if TYPE_CHECKING:
    from .stack_file import StackFile

_OF_THE_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "root", "run", "sbin", "sys", "tmp", "usr")
_OF_A_DAEMON = ("cni", "containerd", "containers", "crio", "docker", "dpkg", "etcd", "kubelet", "rancher", "systemd")
"""Folders of /var/lib that daemons of the node write."""
_PATH = re.compile(r"(/+[A-Za-z0-9_.@+-]+){2,}/*")
_FLEETING = (
    "the cloud replaces nodes of kind {} together with their disks. Fix: remove the block and choose another strategy."
)


def folder(path: str) -> str:
    """Return an absolute path in its shortest form. Raises ValueError if the node's system uses it."""
    parts = PurePosixPath(path).parts
    if len(path) > 1024 or not _PATH.fullmatch(path) or ".." in parts or len(parts) < 3:
        msg = (
            f"{path[:80]!r} is not a folder for weights. "
            "Fix: write an absolute path of at least two plain parts without '..', as in /var/lib/larder."
        )
        raise ValueError(msg)
    daemons = parts[1:3] == ("var", "lib") and parts[3:4] and parts[3] in _OF_A_DAEMON
    if daemons or parts[1] in _OF_THE_SYSTEM or (parts[1] == "var" and len(parts) < 4):
        # A mount gives the whole folder to the group of the pods (fsGroup).
        msg = f"{path!r} belongs to the system of the node. Fix: write a folder of its own, as in /var/lib/larder."
        raise ValueError(msg)
    return "/" + "/".join(parts[1:])


def host_problem(file: "StackFile", path: str, node: str) -> Iterator[Problem]:
    """Yield a problem if no pool has the node, or if its disk does not last."""
    hosts = frozenset(host for hosts in hosts_of(file.settings.node_pools).values() for host in hosts)
    if node in hosts:
        return
    if file.on_cloud:
        yield Problem(path, _FLEETING.format(file.settings.cluster.kind))
    else:
        yield Problem(
            path,
            f"no node pool provides host {node!r}. {did_you_mean(node, hosts)}"
            f"Known hosts: {choices(hosts)}. Fix: add it to larder:node-pools or choose one of them.",
        )


class Folder(Block):
    """A folder on a node's disk."""

    path: Annotated[str, AfterValidator(folder)]
    """The folder on that node."""
    size: Size
    """Size of the volume, which Kubernetes does not enforce."""
    prepare_path: bool = False
    """Create the folder by a Job if it is missing."""


class NodeFolder(Folder):
    """A folder on the disk of one node, as a volume of its own."""

    node: Host
    """The node with the disk; a host of a pool in larder:node-pools."""


class NodeLocalSettings(Folder, StrategySettings):
    """A folder on the disk of one node or of every node of a pool, each as a volume named `<node>-model-storage`."""

    NAME = "node-local"
    KEEPS = "node"
    GIVES_URI = True
    HELP = "The local volume, which is kept under every strategy; strategy node-local mounts it."
    NEEDS = (
        Need("the folder on each node, or prepare-path: true", "events of Job populate-…'s pod: FailedMount"),
        Need(
            "nodes whose names are those of the stack file",
            "`pulumi preview`, for a pool with labels or taints; otherwise events of the Job's pod: Pending",
        ),
        Need("the Job reaches {sources}", "Job populate-…: its termination message"),
    )
    EXAMPLE = "{node | pool, path, size}"

    node: Host | None = None
    """The node with the disk, a host of a pool in larder:node-pools; or pool."""
    pool: str | None = None
    """The pool whose nodes each hold the weights, all in the same folder; or node."""
    prune: Prune | None = None
    """Plans to prune from the disks: {forget: [<digest>] | [others], dry-run}. Default: none."""

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if (self.node is None) == (self.pool is None):
            msg = (
                f"has {'neither node nor' if self.node is None else 'both node and'} pool. "
                "Fix: write one of them: the node with the disk, or the pool whose nodes each have one."
            )
            raise ValueError(msg)
        return self

    @classmethod
    def example(cls, models: Sequence[CatalogEntry], hosts: Sequence[str]) -> dict[str, Any]:
        """Return a block that is right for these models and nodes."""
        node = min(hosts, default="a-node")
        return {"node": node, "path": "/var/lib/larder/models", "size": roomy_for(sum(e.bytes for e in models))}

    @classmethod
    def fetched(cls, made: Sequence[Made]) -> str:
        """Describe the fetch of the weights."""
        return populates(made)

    @property
    def volume_size(self) -> str:
        """Return the size of each volume."""
        return self.size

    @property
    def pruning(self) -> Prune | None:
        """Return the plans to prune from the disks."""
        return self.prune

    def hosts(self, pools: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Return the nodes that hold the weights. `pools` has the hosts of each pool."""
        return (self.node,) if self.node else tuple(pools.get(self.pool or "", ()))

    def check(self, file: "StackFile") -> Iterator[Problem]:
        """Yield a problem if its node or its pool is not in larder:node-pools, or does not keep its disk."""
        yield from each(self._check_node(file), self._check_pool(file))

    def _check_node(self, file: "StackFile") -> Iterator[Problem]:
        if self.node is not None:
            yield from host_problem(file, f"{self.key()}.node", self.node)

    def _check_pool(self, file: "StackFile") -> Iterator[Problem]:
        if self.pool is None:
            return
        pools = file.settings.node_pools
        if file.on_cloud:
            yield Problem(f"{self.key()}.pool", _FLEETING.format(file.settings.cluster.kind))
        elif self.pool not in pools:
            yield unknown_pool(f"{self.key()}.pool", self.pool, pools)

    def place(self, total: int) -> str:
        """Describe the place of the weights."""
        where = f"node {self.node}" if self.node else f"every node of pool {self.pool}"
        return f"on {where}, {share(total, self.size)}"

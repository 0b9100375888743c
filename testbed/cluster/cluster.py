"""The cluster seen from the host: start it, tell if it runs, drop it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from dev import processes
from dev.packages import tool
from dev.paths import ROOT
from dev.progress import CommandError, run, step

from ..packages import EXTRACTED
from ..toolchain import tools
from . import cgroups, network, pki
from .egress import open_ as open_egress
from .layout import DISK, HOST, HUB, HUB_PORT, NODE, REGISTRY, REGISTRY_PORT

READY = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
START_WITHIN = 180.0
"""Seconds until the node is Ready; measured 12 s on two idle cores."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    address: str
    """Address of the node, reachable from this host."""
    kubeconfig: Path

    @property
    def registry(self) -> str:
        """Return `host:port` for pushes from this host."""
        return f"{self.address}:{REGISTRY_PORT}"

    @property
    def hub(self) -> str:
        """Return the base URL of the local hub, the same for this host and for pods."""
        return f"http://{self.address}:{HUB_PORT}"

    def kubectl(self, *args: str, timeout: float = 60) -> str:
        """Run kubectl against this cluster and return its stdout."""
        binary = tools.KUBERNETES.home / "bin" / "kubectl"
        return run(
            [binary, "--kubeconfig", self.kubeconfig, *args],
            log=HOST / "log" / "kubectl.log",
            timeout=timeout,
            capture=True,
        )

    def ready(self) -> bool:
        """Tell whether the node takes pods; False too while the node or its API server is not there yet."""
        try:
            return self.kubectl("get", "node", NODE, "-o", READY, timeout=10) == "True"
        except CommandError:
            return False


def running() -> Cluster | None:
    """Return the cluster of this checkout, if it runs."""
    return _cluster() if _pid() is not None and (HOST / "up").exists() else None


def start(*, egress: bool = False) -> Cluster:
    """Start the cluster, or return the one that runs; `egress` gives its pods a way to what this host can reach.

    Starts over whatever a killed one left. Raises CommandError.
    """
    if (found := running()) is not None:
        return found
    with step("Kubernetes on one node", 40):
        _stop()
        for folder in (HOST / "log", DISK, REGISTRY, HUB):
            folder.mkdir(parents=True, exist_ok=True)
        for marker in ("up", "failed"):
            (HOST / marker).unlink(missing_ok=True)
        subnet = _subnet()
        link = network.Link.of(subnet)
        pki.make(link.cluster)
        _launch(link, cgroups.create())
        if egress:
            open_egress(_pid() or 0)
        _await_node(_cluster())
    return _cluster()


def drop(*, keep_disk: bool) -> None:
    """End every process of the cluster and forget its state; the disk and the pushed images only if asked to."""
    _stop()
    shutil.rmtree(HOST, ignore_errors=True)
    if not keep_disk:
        for folder in (DISK, REGISTRY, HUB):
            shutil.rmtree(folder, ignore_errors=True)


def _launch(link: network.Link, cgroup: str) -> None:
    built = {t.name: str(t.home) for t in tools.CLUSTER}
    unpacked = {f"debian/{name}": str(tool(name).parents[2]) for name in EXTRACTED}
    arguments = json.dumps({"address": link.cluster, "cgroup": cgroup, "tools": built | unpacked})
    log = (HOST / "log" / "supervisor.log").open("ab")
    unshare = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"]
    process = subprocess.Popen(
        [*unshare, sys.executable, "-m", "testbed.cluster.supervisor", arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    pid = _child(process)
    (HOST / "pid").write_text(json.dumps({"pid": pid, "started": processes.started(pid)}))
    link.connect(pid)


def _child(process: subprocess.Popen[bytes]) -> int:
    """Return the pid of process 1 of the namespaces, as the host sees it."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        if pids := children.read_text().split():
            return int(pids[0])
        time.sleep(0.02)
    msg = f"unshare failed to create namespaces; see {HOST}/log/supervisor.log. Fix: run as root with CAP_SYS_ADMIN."
    raise CommandError(msg)


def _await_node(cluster: Cluster) -> None:
    deadline = time.monotonic() + START_WITHIN
    while True:
        if (HOST / "failed").exists() or _pid() is None:
            reason = (HOST / "failed").read_text() if (HOST / "failed").exists() else "its supervisor ended"
            msg = f"the cluster did not start: {reason}. Logs: {HOST}/log/"
            raise CommandError(msg)
        if (HOST / "up").exists() and cluster.ready():
            return
        if time.monotonic() > deadline:
            msg = f"the node was not Ready within {START_WITHIN:.0f} s. Logs: {HOST}/log/"
            raise CommandError(msg)
        time.sleep(0.3)


def _cluster() -> Cluster:
    return Cluster(network.Link.of(_subnet()).cluster, HOST / "pki" / "admin.kubeconfig")


def _subnet() -> str:
    kept = HOST / "subnet"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(network.free_subnet())
    return kept.read_text()


def pid() -> int:
    """Return the pid of process 1 of the cluster's namespaces. Raise CommandError if no cluster runs."""
    if (found := _pid()) is None:
        msg = f"the cluster no longer runs; see {HOST}/log/supervisor.log"
        raise CommandError(msg)
    return found


def _pid() -> int | None:
    """Return the pid of the namespaces' process 1; None if it ended or another process has its pid."""
    try:
        held = json.loads((HOST / "pid").read_text())
    except (OSError, ValueError):
        return None
    return int(held["pid"]) if processes.started(held["pid"]) == held["started"] else None


def _stop() -> None:
    if (pid := _pid()) is not None:
        # The kernel ends every process of the PID namespace with its process 1, and process 1 last of all.
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while _pid() is not None:
            if time.monotonic() > deadline:
                msg = f"process {pid} of the cluster does not end; is a disk below {HOST} hanging?"
                raise CommandError(msg)
            time.sleep(0.05)
    (HOST / "pid").unlink(missing_ok=True)
    cgroups.remove()

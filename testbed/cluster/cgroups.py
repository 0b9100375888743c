"""The cgroup under which the kubelet puts its pods: one per checkout, removed with the cluster."""

import hashlib
from pathlib import Path

from dev.paths import STATE

MOUNT = Path("/sys/fs/cgroup")
NAME = f"larder-{hashlib.sha256(str(STATE).encode()).hexdigest()[:8]}"


def _unified() -> bool:
    return (MOUNT / "cgroup.controllers").exists()


def _parents() -> list[Path]:
    if _unified():
        return [MOUNT]
    return [p for p in MOUNT.iterdir() if p.is_dir() and not p.is_symlink() and (p / "cgroup.procs").exists()]


def problems() -> list[str]:
    """Return what keeps this host from limiting pods, with what to do."""
    if any((MOUNT / name).exists() for name in ("cgroup.controllers", "memory")):
        return []
    return [
        "no memory cgroup: the kubelet cannot limit pods. Boot with cgroup_enable=memory. "
        "Or put the platform on a cluster that exists: make up CONTEXT=… REGISTRY=…"
    ]


def create() -> str:
    """Make the group in every hierarchy; return its path for the kubelet's cgroupRoot."""
    for parent in _parents():
        group = parent / NAME
        group.mkdir(exist_ok=True)
        if _unified():
            for folder in (parent, group):
                wanted = (folder / "cgroup.controllers").read_text().split()
                (folder / "cgroup.subtree_control").write_text(" ".join(f"+{c}" for c in wanted))
        elif parent.name == "cpuset":
            # A v1 cpuset group is born empty, and a task cannot enter it until both are set.
            for key in ("cpuset.cpus", "cpuset.mems"):
                (group / key).write_text((parent / key).read_text())
    return f"/{NAME}"


def remove() -> None:
    """Remove the group and what the kubelet made below it; all are empty once the cluster's processes are gone."""
    for parent in _parents():
        group = parent / NAME
        if group.exists():
            for folder in sorted((p for p in group.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts)):
                folder.rmdir()
            group.rmdir()

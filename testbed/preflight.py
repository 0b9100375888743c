"""What is missing before `make up` can work here: everything at once, each with what to do."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from .progress import TestbedError
from .toolchain import tools

ELSEWHERE = "Or put the platform on a cluster that exists: make up CONTEXT=… REGISTRY=…"


def check(engines: Iterable[str], *, embedded: bool) -> None:
    """Raise TestbedError with the whole list, or return. `embedded`: the cluster is to run here too."""
    problems = []
    wanted = [tools.ENGINES[engine] for engine in engines]
    needed = (*tools.CLUSTER, *wanted) if embedded else wanted
    if platform.system() != "Linux":
        problems.append(f"{platform.system()}: images are built, and the embedded cluster runs, on Linux only.")
    elif os.geteuid() != 0:
        problems.append("not root: building images and making namespaces need it.")
    if shutil.which("apt-get") is None:
        problems.append("no apt-get: base images and tools come from Debian packages. Use Debian or Ubuntu.")
    missing = [tool.name for tool in needed if not tool.home.exists()]
    in_go = [name for name in missing if name not in (tools.SHIMMY.name, tools.LLAMA_SERVER.name)]
    if in_go and shutil.which("go") is None:
        problems.append(f"no go: {', '.join(in_go)} must be built from source. Install Go 1.26 or newer.")
    if tools.SHIMMY.name in missing and shutil.which("cargo") is None:
        problems.append("no cargo: shimmy must be built from source. Install Rust 1.90 or newer.")
    if missing and not _has_default_route():
        problems.append(
            f"no network: {', '.join(missing)} must be downloaded and built, and this host has no route out."
        )
    if embedded and not any(Path("/sys/fs/cgroup", name).exists() for name in ("cgroup.controllers", "memory")):
        problems.append(f"no memory cgroup: the kubelet cannot limit pods. Boot with cgroup_enable=memory. {ELSEWHERE}")
    if problems:
        msg = "this machine cannot run `make up`:\n" + "\n".join(f"  - {p}" for p in problems)
        raise TestbedError(msg)


def _has_default_route() -> bool:
    routes = Path("/proc/net/route").read_text().splitlines()[1:]
    return any(route.split()[1] == "00000000" for route in routes) or ":" in _ipv6_default()


def _ipv6_default() -> str:
    return subprocess.run(["ip", "-6", "route", "show", "default"], capture_output=True, text=True, check=False).stdout

"""What is missing before the embedded cluster can run here: everything at once, each with what to do."""

import os
import platform
import shutil
from pathlib import Path

from .progress import TestbedError
from .toolchain import tools


def check() -> None:
    """Raise TestbedError with the whole list, or return."""
    problems = []
    if platform.system() != "Linux":
        problems.append(
            f"{platform.system()}: the embedded cluster needs Linux. Use one that exists: make up CONTEXT=… REGISTRY=…"
        )
    elif os.geteuid() != 0:
        problems.append(
            "not root: namespaces and mounts need it. Or use a cluster that exists: make up CONTEXT=… REGISTRY=…"
        )
    if shutil.which("apt-get") is None:
        problems.append("no apt-get: the node's programs come from Debian packages. Use Debian or Ubuntu, or CONTEXT=…")
    if shutil.which("go") is None and not all(tool.home.exists() for tool in (*tools.CLUSTER, tools.OLLAMA)):
        problems.append(
            "no go: Kubernetes, containerd and Ollama are built from source. Install Go 1.26 or newer from go.dev"
        )
    if not any(Path("/sys/fs/cgroup", name).exists() for name in ("cgroup.controllers", "memory")):
        problems.append("no memory cgroup: the kubelet cannot limit pods. Boot with cgroup_enable=memory")
    if problems:
        msg = "this machine cannot run the embedded cluster:\n" + "\n".join(f"  - {p}" for p in problems)
        raise TestbedError(msg)

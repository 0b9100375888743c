"""An existing cluster as a target, identified by a context and a registry."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import packages, preflight, stack_file
from .images import build as images
from .images import weights
from .progress import CommandError
from .target import CLUSTER_ID, Target
from .toolchain import tools

KSERVE_CRD = ("crd", "inferenceservices.serving.kserve.io", "-o", "name")
GPU = "amd.com/gpu"


def target(context: str, registry: str) -> Target:
    """Push the images of stack dev to the registry of a cluster. Raise CommandError.

    Only the program changes the cluster.
    """
    listed = json.loads(_kubectl(context, "get", "nodes", "-o", "json"))["items"]
    kubernetes = oldest(listed)
    engines = stack_file.read(f"--kubernetes={kubernetes}").engines
    if "vllm" in engines:
        require_kserve(context)
        require_gpus(context, listed)
    nodes = {n["metadata"]["name"]: n["status"]["addresses"] for n in listed}
    first = next(iter(nodes))
    preflight.check(tools.ENGINES[engine] for engine in engines)
    packages.install(packages.IMAGES)
    overlay = {
        "larder:images": images.deploy(registry, registry, engines),
        "larder:cluster": {"kind": "on-prem", "context": context, "kubernetes": kubernetes},
        "larder:node-pools": {"cpu": {"hosts": list(nodes)}},
        "larder:cache": {"node-local": {"node": first}},
        "larder:gateway": {"service": "NodePort"},
    }
    address = next(a["address"] for a in nodes[first] if a["type"] == "InternalIP")
    kubeconfig = Path(config) if (config := os.environ.get("KUBECONFIG")) else None
    overlay = weights.publish("dev", overlay, registry, registry)
    return Target(overlay, kubeconfig, address, _kubectl(context, *CLUSTER_ID))


def require_kserve(context: str) -> None:
    """Refuse a cluster without InferenceServices before anything is deployed to it. Raise CommandError."""
    if not _kubectl(context, "get", *KSERVE_CRD, "--ignore-not-found"):
        msg = (
            f"context {context}: no KServe ({KSERVE_CRD[1]}). Fix: install KServe 0.20 or later, or drop larder:kserve"
        )
        raise CommandError(msg)


def require_gpus(context: str, nodes: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a cluster without GPUs, on which a predictor would wait forever. Raise CommandError."""
    if not any(int(node["status"]["allocatable"].get(GPU, 0)) for node in nodes):
        msg = f"context {context}: no node offers {GPU}. Fix: install AMD's device plugin, or drop larder:kserve"
        raise CommandError(msg)


def oldest(nodes: Sequence[Mapping[str, Any]]) -> str:
    """Return the oldest version of the nodes, as in 1.36: kubelets may be older than their API server."""
    versions = [re.findall(r"\d+", node["status"]["nodeInfo"]["kubeletVersion"]) for node in nodes]
    return ".".join(map(str, min((int(major), int(minor)) for major, minor, *_ in versions)))


def _kubectl(context: str, *args: str) -> str:
    binary = shutil.which("kubectl")
    if binary is None:
        msg = "CONTEXT=: no kubectl on PATH to list the nodes of the cluster. Fix: install kubectl"
        raise CommandError(msg)
    asked = subprocess.run([binary, "--context", context, *args], capture_output=True, text=True, check=False)
    if asked.returncode:
        msg = f"context {context}: {asked.stderr.strip()}"
        raise CommandError(msg)
    return asked.stdout

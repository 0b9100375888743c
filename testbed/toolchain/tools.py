"""The tools of the embedded cluster. The pins beside this file give the versions."""

import shutil
from pathlib import Path

from dev.toolchain.build import GoModules, Tool, go_source

SOURCES = Path(__file__).parent
_MODULES = GoModules(SOURCES / "go")
pinned, go_build, go_pins = _MODULES.version, _MODULES.build, _MODULES.pins


def _kubernetes(out: Path, log: Path) -> None:
    version = pinned("kubernetes", "k8s.io/kubernetes")
    major, minor, _ = version.removeprefix("v").split(".")
    # An unstamped apiserver says v0.0.0, and clients then take it for one without server-side apply.
    stamp = "k8s.io/component-base/version.git"
    values = {"Version": version, "Major": major, "Minor": minor, "TreeState": "clean"}
    ldflags = "-s -w " + " ".join(f"-X {stamp}{key}={value}" for key, value in values.items())
    programs = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"]
    go_build(
        "kubernetes", [f"k8s.io/kubernetes/cmd/{p}" for p in programs], out / "bin", log, flags=("-ldflags", ldflags)
    )


def _containerd(out: Path, log: Path) -> None:
    base = "github.com/containerd/containerd/v2/cmd"
    programs = [f"{base}/containerd", f"{base}/containerd-shim-runc-v2", f"{base}/ctr"]
    go_build("containerd", programs, out / "bin", log, flags=("-ldflags", "-s -w"))


def _coredns(out: Path, log: Path) -> None:
    go_build("coredns", ["."], out / "bin", log, flags=("-ldflags", "-s -w"))


def _kserve(out: Path, log: Path) -> None:
    # The module's own go.sum pins the rest. It is hundreds of megabytes: what the testbed applies is copied out of it.
    source = go_source(SOURCES / "kserve.txt", log)
    go_build(source, ["./cmd/manager"], out / "bin", log, flags=("-ldflags", "-s -w"))
    config = out / "config"
    shutil.copytree(source / "config/crd/full", config / "crd")
    shutil.copy(source / "config/configmap/inferenceservice.yaml", config / "config.yaml")
    shutil.copy(source / "config/rbac/role.yaml", config / "role.yaml")
    shutil.copy(source / "config/webhook/manifests.yaml", config / "webhooks.yaml")


KUBERNETES = Tool(
    name="kubernetes", title="building Kubernetes", expected=360, pins=go_pins("kubernetes"), build=_kubernetes
)
CONTAINERD = Tool(
    name="containerd", title="building containerd", expected=70, pins=go_pins("containerd"), build=_containerd
)
COREDNS = Tool(name="coredns", title="building CoreDNS", expected=90, pins=go_pins("coredns"), build=_coredns)
# Only for stacks with larder:kserve.
KSERVE = Tool(
    name="kserve",
    title="building KServe's controller",
    expected=230,
    pins=(SOURCES / "kserve.txt",),
    build=_kserve,
)

CLUSTER = (KUBERNETES, CONTAINERD, COREDNS)

"""Debian packages of the embedded cluster, and those that end-to-end tests use."""

from pathlib import Path

from dev import packages

CLUSTER = packages.IMAGES | {
    "iptables": "iptables",
    "conntrack": "conntrack",
    "openssl": "openssl",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""Packages by a command or file that each provides."""

EXTRACTED = {"etcd": "etcd-server", "docker-registry": "docker-registry"}
"""Packages by program. An installation would start these two as services of the host, so they are only unpacked."""


def install() -> None:
    """Install and unpack what the cluster lacks. Raises CommandError where apt cannot."""
    packages.install(CLUSTER)
    for binary, package in EXTRACTED.items():
        packages.extract(package, binary)


def ensure_vulkan() -> None:
    """Install Mesa's software Vulkan device: Shimmy's image has its own, the tests of the engine run on the host."""
    if not any(Path("/usr/share/vulkan/icd.d").glob("lvp_icd.*")):
        packages.install({"/usr/share/vulkan/icd.d/lvp_icd.json": "mesa-vulkan-drivers"})


def ensure_browser() -> None:
    """Install Chromium and its driver: for the tests of the page."""
    packages.install({"chromium": "chromium", "chromedriver": "chromium-driver"})


def ensure(package: str) -> None:
    """Install one package whose program has its name."""
    packages.install({package: package})

"""Debian packages the testbed needs: named before they are installed, and none that starts a service."""

import os
import shutil
import subprocess
from pathlib import Path

from .paths import CACHE
from .progress import TestbedError, run, say, step

INSTALLED = {
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "unshare": "util-linux",
    "openssl": "openssl",
    "runc": "runc",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "cmake": "cmake",
    "g++": "g++",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""Command or file that shows a package is there -> the package."""

BROWSER = {"chromium": "chromium", "chromium-driver": "chromedriver"}
"""Package -> its command."""

EXTRACTED = {"etcd": "etcd-server", "docker-registry": "docker-registry"}
"""Installing these two would start them as services of the host, so their files are only unpacked into the cache."""


def install() -> None:
    """Install what is missing. Raises TestbedError where apt cannot."""
    _install([package for probe, package in INSTALLED.items() if not _present(probe)])
    for binary, package in EXTRACTED.items():
        if not tool(binary).exists():
            with step(f"unpacking {package} (not installed: it would start a service)", 5):
                _extract(binary, package)


def ensure_vulkan() -> None:
    """Install Mesa's software Vulkan device: Shimmy's image has its own, the tests of the engine run on the host."""
    _install([] if any(Path("/usr/share/vulkan/icd.d").glob("lvp_icd.*")) else ["mesa-vulkan-drivers"])


def ensure_browser() -> None:
    """Install Chromium and its driver: for the tests of the page."""
    _install([package for package in ("chromium", "chromium-driver") if not _present(BROWSER[package])])


def ensure(package: str) -> None:
    """Install one package whose program has its name."""
    _install([] if _present(package) else [package])


def _install(missing: list[str]) -> None:
    if missing:
        say(f"  installing Debian packages: {', '.join(missing)}")
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none"}
        with step("system packages", 40):
            log = CACHE / "log" / "apt.log"
            _update(env, log)
            apt = ["apt-get", "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"]
            run([*apt, *missing], log=log, env=env)


def tool(binary: str) -> Path:
    """Where an extracted package's program lies."""
    return CACHE / "debian" / binary / "usr" / "bin" / binary


def _present(probe: str) -> bool:
    return (
        Path(probe).exists()
        if probe.startswith("/")
        else shutil.which(probe, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None
    )


def _update(env: dict[str, str], log: Path) -> None:
    fresh = any(Path("/var/lib/apt/lists").glob("*_Packages*"))
    if not fresh:
        run(["apt-get", "update"], log=log, env=env)


def _extract(binary: str, package: str) -> None:
    final = CACHE / "debian" / binary
    partial = final.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    log = CACHE / "log" / "apt.log"
    _update(dict(os.environ), log)
    # _apt, the user apt downloads as, may not write into root's cache folder; apt says so and goes on.
    run(["apt-get", "download", package], log=log, cwd=partial)
    (archive,) = partial.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, partial], check=True)
    archive.unlink()
    if not (partial / "usr/bin" / binary).exists():
        msg = f"Debian's {package} has no /usr/bin/{binary}; this release of Debian packs it otherwise"
        raise TestbedError(msg)
    partial.rename(final)

"""Debian packages that commands need. Their names are printed before the installation, and none starts a service."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .paths import CACHE
from .progress import CommandError, run, say, step

IMAGES = {
    "unshare": "util-linux",
    "ip": "iproute2",
    "runc": "runc",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "cmake": "cmake",
    "g++": "g++",
}
"""Packages for building images and engines: a command or file that shows a package is there -> the package."""


def install(packages: Mapping[str, str]) -> None:
    """Install missing packages. Raise CommandError if apt fails."""
    if missing := [package for probe, package in packages.items() if not _present(probe)]:
        say(f"  installing Debian packages: {', '.join(missing)}")
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none"}
        with step("system packages", 40):
            log = CACHE / "log" / "apt.log"
            _update(env, log)
            apt = ["apt-get", "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"]
            run([*apt, *missing], log=log, env=env)


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


def extract(package: str, binary: str) -> None:
    """Unpack a package into the cache: installing it would start a service."""
    if tool(binary).exists():
        return
    with step(f"unpacking {package} (not installed: it would start a service)", 5):
        final = CACHE / "debian" / binary
        partial = final.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        log = CACHE / "log" / "apt.log"
        _update(dict(os.environ), log)
        # apt downloads as user _apt, which cannot write into root's cache folder; apt warns and continues.
        run(["apt-get", "download", package], log=log, cwd=partial)
        (archive,) = partial.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, partial], check=True)
        archive.unlink()
        if not (partial / "usr/bin" / binary).exists():
            msg = f"Debian's {package} has no /usr/bin/{binary}; this release of Debian packages it differently"
            raise CommandError(msg)
        partial.rename(final)


def tool(binary: str) -> Path:
    """Return the path of an extracted package's program."""
    return CACHE / "debian" / binary / "usr" / "bin" / binary

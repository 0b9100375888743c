"""Base images from Debian packages, for hosts that reach no registry with base images."""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from ..progress import CommandError, run, step
from .buildah import LOG, STORAGE, buildah, contained, exists, scratch

PIP = Path(__file__).with_name("pip.txt")
INPUTS = (Path(__file__), PIP)
"""Files that determine the base images; they are inputs of every image on top of them."""

PACKAGES = ["python3", "ca-certificates"]
UNNEEDED = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/lintian",
    "var/lib/apt/lists",
    "var/cache/apt",
    "var/cache/debconf",
    "var/log",
]

_TAG = hashlib.sha256(b"".join(path.read_bytes() for path in INPUTS)).hexdigest()[:12]
BASE = f"localhost/larder/base:{_TAG}"
BUILD_BASE = f"localhost/larder/build-base:{_TAG}"


def ensure() -> None:
    """Make both bases, with Python and with pip on top, of the host's release: built programs find their libc."""
    if exists(BASE) and exists(BUILD_BASE):
        return
    with step("base image from Debian packages", 120):
        root = STORAGE / "debootstrap"
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        mirror, release = _mirror()
        contained("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", release, root, mirror)
        _slim(root)
        _commit(root, BASE)
        # pip runs from its wheel; Debian's package depends on a compiler.
        wheels = root / "wheels"
        run(
            [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "-r", PIP, "-d", wheels], log=LOG
        )
        (wheel,) = wheels.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(root / "usr/lib/python3/dist-packages")
        shutil.rmtree(wheels)
        _commit(root, BUILD_BASE)
        shutil.rmtree(root)


def _slim(root: Path) -> None:
    for name in UNNEEDED:
        shutil.rmtree(root / name, ignore_errors=True)


def _commit(root: Path, image: str) -> None:
    container = scratch()
    buildah("add", container, root, "/")
    buildah("commit", "--rm", "--timestamp=0", container, image)


def _mirror() -> tuple[str, str]:
    """Return URL and release of the archive that this host installs from."""
    lines = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    for line in lines:
        uri, _, release = line.partition(" ")
        if uri and "-" not in release:
            return uri, release
    msg = "/etc/apt/sources.list: apt has no package source for a base image. Fix: add one and run `apt-get update`"
    raise CommandError(msg)

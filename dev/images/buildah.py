"""Builds and pushes with buildah, in separate storage and with mounts that end with the command."""

import ipaddress
import os
import urllib.error
import urllib.request
from pathlib import Path

from ..paths import CACHE
from ..progress import run

STORAGE = CACHE / "containers"
LOG = CACHE / "log" / "images.log"


def contained(*argv: str | Path, capture: bool = False) -> str:
    """Run in a separate mount namespace: a killed build leaves no mount on the host."""
    return run(["unshare", "--mount", *argv], log=LOG, capture=capture)


def buildah(*args: str | Path, capture: bool = False) -> str:
    """Run buildah on our storage."""
    own: list[str | Path] = ["--root", STORAGE / "storage", "--runroot", STORAGE / "run", "--storage-driver", "overlay"]
    return contained("buildah", *own, *args, capture=capture)


def exists(image: str) -> bool:
    """Tell whether our storage holds `image`."""
    return image in buildah("images", "--format", "{{.Name}}:{{.Tag}}", capture=True).split()


def scratch() -> str:
    """Create a container without files; return its name."""
    return buildah("from", "scratch", capture=True).strip()


def build(image: str, dockerfile: Path, context: Path, arguments: dict[str, str]) -> None:
    """Build a Dockerfile as `image`. Chroot isolation: neither a runtime nor user namespaces are needed."""
    args = [f"--build-arg={k}={v}" for k, v in arguments.items()]
    if bundle := os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE"):
        args += [f"--volume={bundle}:{bundle}:ro", f"--build-arg=PIP_CERT={bundle}"]
    buildah(
        "bud", "--isolation", "chroot", "--layers=false", "--timestamp=0", "-f", dockerfile, "-t", image, *args, context
    )


def push(image: str, registry: str, repository: str, tag: str) -> str:
    """Push to `registry`/`repository`:`tag` and return the digest under which it can be pulled."""
    digest_file = STORAGE / "digest"
    tls = f"--tls-verify={str(not plain(registry)).lower()}"
    buildah("push", tls, "--digestfile", digest_file, image, f"docker://{registry}/{repository}:{tag}")
    return digest_file.read_text().strip()


def pushed(registry: str, repository: str, tag: str) -> str | None:
    """Return the digest of a tag in a registry, or None."""
    scheme = "http" if plain(registry) else "https"
    types = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    request = urllib.request.Request(
        f"{scheme}://{registry}/v2/{repository}/manifests/{tag}", method="HEAD", headers={"Accept": types}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return str(answer.headers["Docker-Content-Digest"])
    except (urllib.error.URLError, OSError):
        return None


def plain(registry: str) -> bool:
    """Tell if a registry may use plain HTTP: at a private address or on this host. Others must use TLS."""
    host = registry.rsplit(":", 1)[0]
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"

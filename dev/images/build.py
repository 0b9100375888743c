"""Images of a deployment. Each is built only after its inputs change, and pushed only if the registry lacks it."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..paths import ROOT
from ..progress import step
from ..toolchain import tools
from ..toolchain.build import Tool
from . import base, buildah

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Image:
    """A repository, the files that determine its content, and the function that builds it."""

    repository: str
    inputs: tuple[Path, ...]
    build: Callable[[str], None]
    expected: float
    version: str = ""
    needs: Tool | None = None

    @property
    def tag(self) -> str:
        """Return the fixed version, or else the hash of the inputs."""
        if self.version:
            return self.version
        digest = hashlib.sha256(self.needs.home.name.encode() if self.needs else b"")
        for path in sorted(_files(self.inputs)):
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
        return digest.hexdigest()[:12]

    def ensure(self, registry: str) -> str:
        """Build and push the image if it is missing; return the digest."""
        if (digest := buildah.pushed(registry, self.repository, self.tag)) is not None:
            return digest
        local = f"localhost/{self.repository}:{self.tag}"
        with step(f"image {self.repository}", self.expected):
            if not buildah.exists(local):
                self.build(local)
            return buildah.push(local, registry, self.repository, self.tag)


def deploy(registry: str, name: str, engines: Iterable[str]) -> dict[str, str]:
    """Build and push the images of a stack with these engines; return `larder:images` for pulls from `name`."""
    images = {"sidecar": SIDECAR, **{engine: ENGINES[engine] for engine in engines}}
    return {role: f"{name}/{image.repository}@{image.ensure(registry)}" for role, image in images.items()}


def _files(inputs: tuple[Path, ...]) -> Iterator[Path]:
    for path in inputs:
        found = path.rglob("*") if path.is_dir() else [path]
        yield from (p for p in found if p.is_file() and "__pycache__" not in p.parts)


def _sidecar(image: str) -> None:
    base.ensure()
    folder = ROOT / "sidecar"
    buildah.build(image, folder / "Dockerfile", folder, {"BASE": base.BASE, "BUILD_BASE": base.BUILD_BASE})


def _engine(tool: Tool, expected: float) -> Image:
    """Return the image of a built engine, from the Dockerfile with its name."""
    dockerfile = HERE / f"{tool.name}.Dockerfile"

    def build(image: str) -> None:
        base.ensure()
        buildah.build(image, dockerfile, tool.ensure(), {"BASE": base.BASE})

    return Image(f"larder/{tool.name}", (dockerfile, *base.INPUTS), build, expected, needs=tool)


def _vllm(image: str) -> None:
    base.ensure()
    root = buildah.STORAGE / "vllm"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    shutil.copy2(tools.LLAMA_SERVER.ensure() / "bin" / "llama-server", root)
    shutil.copy2(HERE / "vllm_server.py", root)
    buildah.build(image, HERE / "vllm.Dockerfile", root, {"BASE": base.BASE})
    shutil.rmtree(root)


SIDECAR = Image(
    "larder/sidecar",
    (
        ROOT / "sidecar/Dockerfile",
        ROOT / "sidecar/requirements.lock",
        ROOT / "sidecar/larder_sidecar",
        *base.INPUTS,
    ),
    _sidecar,
    40,
)
VLLM = Image(
    "larder/vllm-stand-in",
    (HERE / "vllm.Dockerfile", HERE / "vllm_server.py", *base.INPUTS),
    _vllm,
    20,
    needs=tools.LLAMA_SERVER,
)
ENGINES = {
    tool.name: _engine(tool, expected)
    for tool, expected in ((tools.OLLAMA, 20), (tools.LLAMA_SERVER, 10), (tools.SHIMMY, 60))
} | {"vllm": VLLM}
"""Images by their keys in larder:images."""

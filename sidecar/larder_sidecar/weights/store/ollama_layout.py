"""The layout of Ollama's folder OLLAMA_MODELS, written without Ollama.

`blobs/sha256-<hex>` holds contents, `manifests/registry.ollama.ai/library/<model>/<tag>` names what belongs together
(manifest/manifest.go, types/model/config.go of Ollama 0.32). Ollama lists every file four levels deep in manifests/, so
a manifest is renamed into place last, when all its blobs are there.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...config.layout import gguf_path
from ...config.weights import ModelWeights, OllamaRecipe
from ..errors import PlanError
from . import untrusted
from .disk import SCRATCH, link_atomically, list_entries, sync_folder, write_atomically
from .gguf import GgufInfo
from .marker import Stored, describe_file

_REGISTRY = "manifests/registry.ollama.ai/library"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.ollama.image"
_LARGEST = 1 << 20
"""Bytes of a manifest that is read."""
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")


@dataclass(frozen=True)
class StoredFile:
    """A weights file in the store."""

    sha256: str
    bytes: int
    info: GgufInfo


@dataclass(frozen=True)
class ModelLayout:
    """The files that make a model out of stored weights, by path relative to the root."""

    blobs: Mapping[str, bytes]
    manifests: Mapping[str, bytes]
    links: Mapping[str, str]
    """Targets of links with plain names, by path. They are relative: pods mount a store at different paths."""


def blob_path(sha256: str) -> str:
    """Return the path of a blob, relative to the store's root."""
    return f"blobs/sha256-{sha256}"


def manifest_path(served_name: str) -> str:
    """Return the path of a manifest, relative to the store's root; the default tag is `latest`."""
    model, _, tag = served_name.partition(":")
    return f"{_REGISTRY}/{model}/{tag or 'latest'}"


def lay_out(model: ModelWeights, files: Sequence[StoredFile]) -> ModelLayout:
    """Return the manifest and small blobs of a model. Raises PlanError if Ollama could not load the files together."""
    weights = [file for file in files if _layer_kind(model, file) == "model"]
    parts = max([len(weights), *(file.info.splits for file in weights)])
    if parts != 1 or not weights:
        raise PlanError(
            f"model {model.id}: Ollama loads one GGUF file per model, this model has {parts if weights else 'none'}",
            "Join a split model with llama.cpp's gguf-split --merge, or serve it with another engine.",
        )
    info = weights[0].info
    if not info.tensors:
        raise PlanError(f"model {model.id}: the file has no tensors", "Choose the file of a model.")
    config = _json(
        {
            "model_format": model.format,
            "model_family": info.architecture,
            "model_families": [info.architecture],
            "model_type": _format_count(info.parameters),
            "file_type": info.file_type,
            # Ollama writes the builder's platform here and never reads it; fixed, so that stores are equal.
            "architecture": "amd64",
            "os": "linux",
        }
    )
    small = {"template": _template(model.ollama), "params": _params(model.ollama)}
    layers = [_layer(f"{_LAYER}.{_layer_kind(model, file)}", file.sha256, file.bytes) for file in files]
    layers += [_layer(f"{_LAYER}.{kind}", _sha256(content), len(content)) for kind, content in small.items() if content]
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _layer(_CONFIG, _sha256(config), len(config)),
            "layers": layers,
        }
    )
    return ModelLayout(
        blobs={blob_path(_sha256(content)): content for content in (config, *small.values()) if content},
        manifests={manifest_path(name): manifest for name in model.served_names},
        links={gguf_path(model.id): f"../{blob_path(weights[0].sha256)}"},
    )


def write_model(model: ModelWeights, files: Sequence[StoredFile], root: Path) -> dict[str, Stored]:
    """Write the files that engines need next to the weights, and return them for the marker. Raises PlanError."""
    made = lay_out(model, files)
    written: dict[str, Stored] = {}
    for contents in (made.blobs, made.manifests):
        for name, content in contents.items():
            path = root / name
            if not _has_content(path, content):
                write_atomically(path, content, scratch=root / SCRATCH)
            written[name] = describe_file(path, _sha256(content))
    sync_folder(root / "manifests")
    for name, target in made.links.items():
        path = root / name
        if not path.is_symlink() or str(path.readlink()) != target:
            link_atomically(path, target, scratch=root / SCRATCH)
        written[name] = describe_file(path, target.rpartition("-")[2])
    return written


def referenced_blobs(manifest: Path) -> set[str] | None:
    """Return the paths of the blobs that a manifest needs; None if the file is no manifest."""
    try:
        value = json.loads(untrusted.read_file(manifest, _LARGEST))
        digests = [layer["digest"] for layer in (value["config"], *value["layers"])]
        found = [_DIGEST.fullmatch(str(digest)) for digest in digests if digest]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return {blob_path(it[1]) for it in found if it} if all(found) else None


def list_manifests(root: Path) -> list[Path]:
    """Return the files that Ollama would list."""
    return [path for path in list_entries(root / "manifests", depth=3) if path.is_file()]


def _has_content(path: Path, content: bytes) -> bool:
    """Return True if a file with this content is there."""
    try:
        return untrusted.read_file(path, len(content)) == content
    except OSError:
        return False


def _layer_kind(model: ModelWeights, file: StoredFile) -> str:
    if file.info.kind == "adapter":
        raise PlanError(
            f"model {model.id}: one of its files is a LoRA adapter", "Remove the adapter from the catalog entry."
        )
    # Vision projectors are GGUF files of architecture clip; `general.type` is mmproj in newer ones.
    return "projector" if file.info.architecture == "clip" or file.info.kind == "mmproj" else "model"


def _template(recipe: OllamaRecipe) -> bytes:
    return (recipe.template or "").encode()


def _params(recipe: OllamaRecipe) -> bytes:
    return _json(recipe.params) if recipe.params else b""


def _layer(media_type: str, sha256: str, size: int) -> dict[str, str | int]:
    return {"mediaType": media_type, "digest": f"sha256:{sha256}", "size": size}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _format_count(parameters: int) -> str:
    """Format a parameter count like Ollama: 1.1B, 132.50M, 30K (format.HumanNumber)."""
    if parameters >= 10**9:
        return f"{parameters / 10**9:.{0 if parameters % 10**9 == 0 else 1}f}B"
    if parameters >= 10**6:
        return f"{parameters / 10**6:.{0 if parameters % 10**6 == 0 else 2}f}M"
    return f"{parameters / 1000:.0f}K" if parameters >= 1000 else str(parameters)

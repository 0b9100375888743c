"""Stores assembled from weights on this node: mounted images, or another store. Nothing is downloaded.

The store belongs to one pod, so there is one writer and no lease. An interrupted run goes on with the files that it has
placed.
"""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from ...config.weights import FIRST_PULL, ModelWeights, WeightsFile, WeightsPlan
from ..errors import ImageError, StoreError
from ..progress import Reporter, Summary
from . import untrusted
from .disk import SCRATCH, link_atomically, make_folders, place_atomically, sweep, translate_os_errors
from .gguf import check_gguf
from .image_index import INDEX, MODELS, Contents, read_contents
from .marker import Stored, complete, describe_file, read_marker, wait_for
from .ollama_layout import StoredFile, blob_path, write_model

Place = Callable[[ModelWeights, WeightsFile], str]
"""Puts the blob of a file into the store and returns its sha256. Raises FetchError."""
_READ = 4 << 20
_DAMAGED = "Repair the shared copy: run `larder-sidecar fetch --verify` on that store, or delete the file."


def link(plan: WeightsPlan, root: Path, images: Path, reporter: Reporter) -> Summary:
    """Join the weights images mounted at `images`/<model id> by symlinks.

    Weights are not hashed again, which would cost minutes at each start: the reference of an image is a digest, the
    container runtime has verified every layer, and the index has the sha256 of each file when it was published.
    """

    def place(model: ModelWeights, file: WeightsFile) -> str:
        image = images / model.id
        sha256 = _sha256_in(read_contents(image / INDEX), file, image)
        target = image / MODELS / file.path
        if not target.is_file() or target.stat().st_size != file.bytes:
            raise ImageError(
                f"{target} is missing or does not have {file.bytes} bytes, as {INDEX} of the image states",
                "Publish the model again, and write the new reference into the settings.",
            )
        link_atomically(root / blob_path(sha256), str(target), scratch=root / SCRATCH)
        reporter.event("linked", model=model.id, file=file.path, sha256=sha256)
        return sha256

    return _assemble(plan, root, place)


def copy(plan: WeightsPlan, root: Path, source: Path, reporter: Reporter, *, wait_seconds: float = 0) -> Summary:
    """Copy a plan from the store at `source`, every byte verified, after waiting until it holds the plan."""
    wait_for(plan, source, wait_seconds, reporter)
    marker = read_marker(source, plan.digest())
    recorded = marker.first_pull if marker else {}

    def place(_: ModelWeights, file: WeightsFile) -> str:
        sha256 = recorded.get(file.url, "") if file.sha256 == FIRST_PULL else file.sha256
        target = root / blob_path(sha256)
        # An earlier start of this pod verified it before it gave it this name.
        if not target.is_file() or target.stat().st_size != file.bytes:
            _copy(source / blob_path(sha256), target, root / SCRATCH, sha256, file.bytes, reporter)
        return sha256

    return _assemble(plan, root, place)


def _assemble(plan: WeightsPlan, root: Path, place: Place) -> Summary:
    began = time.monotonic()
    files: dict[str, Stored] = {}
    first_pull: dict[str, str] = {}
    with translate_os_errors(root):
        make_folders(root)
        sweep(root)
        for model in plan.models:
            placed = []
            for file in model.files:
                sha256 = place(model, file)
                path = root / blob_path(sha256)
                placed.append(StoredFile(sha256, file.bytes, check_gguf(path, plan.name_of(file))))
                files[blob_path(sha256)] = describe_file(path, sha256)
                if file.sha256 == FIRST_PULL:
                    first_pull[file.url] = sha256
            files |= write_model(model, placed, root)
        summary = Summary(0, plan.total_bytes(), time.monotonic() - began)
        complete(root, plan, summary, files, first_pull)
    return summary


def _sha256_in(contents: Contents, file: WeightsFile, image: Path) -> str:
    held = contents.files.get(file.path)
    if held is None or held.bytes != file.bytes or file.sha256 not in (FIRST_PULL, held.sha256):
        what = f"sha256 {held.sha256[:12]}… and {held.bytes} bytes" if held else "no such file"
        raise ImageError(
            f"{image}: the plan wants {file.path} ({file.sha256[:12]}…, {file.bytes} bytes), the image has {what}",
            "Name the image of this model in larder:cache.image-volume.images; `larder-sidecar publish` prints it.",
        )
    return held.sha256


def _copy(source: Path, target: Path, scratch: Path, sha256: str, size: int, reporter: Reporter) -> None:
    digest, transfer = hashlib.sha256(), reporter.transfer(source.name, total=size, start=0)
    with (
        untrusted.open_file(source) as read,
        place_atomically(target, scratch=scratch) as temporary,
        temporary.open("wb") as write,
    ):
        while chunk := read.read(_READ):
            if write.tell() + len(chunk) > size:
                raise StoreError(f"{source} has more bytes than the plan ({size})", _DAMAGED)
            digest.update(chunk)
            write.write(chunk)
            transfer.at(write.tell())
        write.flush()
        os.fsync(write.fileno())
        if digest.hexdigest() != sha256:
            raise StoreError(f"{source} has sha256 {digest.hexdigest()[:12]}…, not that of its name", _DAMAGED)
    reporter.event("copied", file=source.name, bytes=size)

"""One catalog entry: a model, where its files are, what they must be, and what serving it costs."""

import heapq
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from ..config.document import DocumentError, load_document
from ..config.read import problems
from ..config.weights import ModelId, OllamaRecipe, ServedName
from .sources import ArtifactSource, CatalogFile, Described, HttpsSource, HubSource


class Needs(Described):
    """Resources of an engine with this model loaded. `memory` counts weights, KV cache at `context` and the runtime."""

    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}(Mi|Gi)$")]
    """As in 512Mi or 2Gi."""
    cpu: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}m?$", coerce_numbers_to_str=True)]
    """As in 2 or 500m."""


class Fact(Described):
    """The source of a figure of this entry."""

    what: str
    source: str
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class CatalogEntry(Described):
    """The whole file."""

    id: ModelId
    """The file's name without `.yaml`."""
    name: str
    aliases: list[ServedName] = Field(default_factory=list)
    format: Literal["gguf"]
    quantization: str
    context: int = Field(gt=0)
    """Tokens."""
    license: str
    hub: HubSource | None = None
    https: HttpsSource | None = None
    oci: ArtifactSource | None = None
    ollama: OllamaRecipe = OllamaRecipe()
    needs: Needs
    facts: list[Fact] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_source(self) -> "CatalogEntry":
        if sum(source is not None for source in (self.hub, self.https, self.oci)) != 1:
            msg = "has no source of its files, or several. Fix: set one of `hub`, `https` and `oci`"
            raise ValueError(msg)
        return self

    @property
    def source(self) -> HubSource | HttpsSource | ArtifactSource:
        """Return the only source of the files."""
        # The validator has made sure that there is one.
        return next(source for source in (self.hub, self.https, self.oci) if source is not None)

    @property
    def files(self) -> Sequence[CatalogFile]:
        """Return the files of the model."""
        return self.source.files

    @property
    def bytes(self) -> int:
        """Return the size of all files, in bytes."""
        return sum(file.bytes for file in self.files)


ENTRY_BYTES = 256 * 1024
"""Limit for one file, in bytes. Anybody who can write to the catalog must not fill our memory."""
CATALOG_FILES = 2_000
CATALOG_BYTES = 4 * 2**20
"""Limit for all files of a catalog together, in bytes: seconds of work for one processor."""


class CatalogError(ValueError):
    """The error for a catalog with bad files: its good entries, and each bad file's problem by its name."""

    def __init__(self, entries: Mapping[str, CatalogEntry], wrong: Mapping[str, ValidationError | str]) -> None:
        self.entries = entries
        self.wrong = wrong
        lines = (f"{name}.yaml: {why if isinstance(why, str) else problems(why)}" for name, why in wrong.items())
        super().__init__("; ".join(lines))


def load_catalog(folder: Path) -> dict[str, CatalogEntry]:
    """Read `folder`/*.yaml by id. Raises CatalogError with every file that is wrong at once, and OSError."""
    entries: dict[str, CatalogEntry] = {}
    paths, wrong = _files(folder)
    for path in paths:
        name = _name(path)
        try:
            entry = CatalogEntry.model_validate(load_document(path, most=ENTRY_BYTES, trusted=False))
        except (DocumentError, ValidationError) as error:
            wrong[name] = error if isinstance(error, ValidationError) else str(error)
        else:
            if entry.id == name:
                entries[entry.id] = entry
            else:
                wrong[name] = f"id: is {entry.id!r}; it must equal the file's name"
    if wrong:
        raise CatalogError(entries, dict(sorted(wrong.items())))
    return entries


def _files(folder: Path) -> tuple[list[Path], dict[str, ValidationError | str]]:
    """Return the files to read, by their names, and the problems of the others."""
    with os.scandir(folder) as found:
        names = heapq.nsmallest(CATALOG_FILES + 1, (item.name for item in found if item.name.endswith(".yaml")))
    wrong: dict[str, ValidationError | str] = {}
    if len(names) > CATALOG_FILES:
        wrong[_name(folder / names.pop())] = (
            f"is not read, nor are later files: a catalog has at most {CATALOG_FILES} files"
        )
    sizes: dict[Path, int] = {}
    for path in (folder / name for name in names):
        try:
            sizes[path] = _size(folder, path)
        except ValueError as error:
            wrong[_name(path)] = str(error)
    # The smallest ones first: a few large files must not keep all others out.
    total = 0
    for path in sorted(sizes, key=lambda path: (sizes[path], path)):
        total += sizes[path]
        if total > CATALOG_BYTES:
            wrong[_name(path)] = f"is not read: with the smaller files it exceeds {CATALOG_BYTES // 2**20} MiB"
            del sizes[path]
    return list(sizes), wrong


def _size(folder: Path, path: Path) -> int:
    """Return the size of the file. Raises ValueError for a link out of the catalog, a special file and a large one."""
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            msg = "is a link that leads out of the catalog"
            raise ValueError(msg)
        if not path.exists():
            return 0  # reading it says why
        if not path.is_file():
            msg = "is not a regular file"
            raise ValueError(msg)
        size = path.stat().st_size
    except (OSError, RuntimeError):  # RuntimeError: Python before 3.13, for links in a circle
        msg = "cannot be read"
        raise ValueError(msg) from None
    if size > ENTRY_BYTES:
        msg = f"is larger than {ENTRY_BYTES // 1024} KiB"
        raise ValueError(msg)
    return size


def _name(path: Path) -> str:
    """Return the file's name without `.yaml`, printable: a name may have any bytes but a slash."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in path.name.removesuffix(".yaml"))

"""One catalog entry: a model, where its files are, what they must be, and what serving it costs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from ..config.document import DocumentError, load_document
from ..config.weights import ModelId, OllamaRecipe, ServedName
from .sources import ArtifactSource, CatalogFile, Described, HttpsSource, HubSource


class Needs(Described):
    """What an engine with this model loaded takes. `memory` counts weights, KV cache at `context` and the runtime."""

    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}(Mi|Gi)$")]
    """As in 512Mi or 2Gi."""
    cpu: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}m?$", coerce_numbers_to_str=True)]
    """As in 2 or 500m."""


class Fact(Described):
    """Where a figure of this entry comes from."""

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
            msg = "say where the files are: one of `hub`, `https` and `oci`"
            raise ValueError(msg)
        return self

    @property
    def source(self) -> HubSource | HttpsSource | ArtifactSource:
        """Where the files are."""
        # The validator saw to it that there is one.
        return next(source for source in (self.hub, self.https, self.oci) if source is not None)

    @property
    def files(self) -> Sequence[CatalogFile]:
        """What makes up the model."""
        return self.source.files

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)


ENTRY_BYTES = 256 * 1024
"""A file of this size is no entry; whoever can write to the catalog must not fill our memory."""


class CatalogError(ValueError):
    """A catalog with files that are no entries: those that are, and by the others' names what is wrong with each."""

    def __init__(self, entries: Mapping[str, CatalogEntry], wrong: Mapping[str, ValidationError | str]) -> None:
        self.entries = entries
        self.wrong = wrong
        super().__init__("; ".join(f"{name}.yaml: {' '.join(str(why).split())}" for name, why in wrong.items()))


def load_catalog(folder: Path) -> dict[str, CatalogEntry]:
    """Read `folder`/*.yaml by id. Raises CatalogError with every file that is wrong at once."""
    entries: dict[str, CatalogEntry] = {}
    wrong: dict[str, ValidationError | str] = {}
    for path in sorted(folder.glob("*.yaml")):
        if reason := _no_file_of(folder, path):
            wrong[path.stem] = reason
            continue
        try:
            entry = CatalogEntry.model_validate(load_document(path))
        except (DocumentError, ValidationError) as error:
            wrong[path.stem] = error if isinstance(error, ValidationError) else str(error)
        else:
            if entry.id == path.stem:
                entries[entry.id] = entry
            else:
                wrong[path.stem] = f"id: is {entry.id!r}; it must equal the file's name"
    if wrong:
        raise CatalogError(entries, wrong)
    return entries


def _no_file_of(folder: Path, path: Path) -> str:
    """Why it is not even opened: a catalog may come from a repository that others write to."""
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return "is a link that leads out of the catalog"
        if path.exists() and not path.is_file():
            return "is no file"
        if path.exists() and path.stat().st_size > ENTRY_BYTES:
            return f"is larger than {ENTRY_BYTES // 1024} KiB"
    except (OSError, RuntimeError):  # RuntimeError: Python before 3.13, for links in a circle
        return "cannot be read"
    return ""

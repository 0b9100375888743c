"""One catalog entry: a model, where its files are, what they must be, and what serving it costs."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from ..config.base import Model
from ..config.weights import ModelId, OllamaRecipe, RelativePath, ServedName, Sha256


class CatalogFile(Model):
    """One file of the repository. A missing sha256 must be said out loud as `first-pull`, which only dev accepts."""

    path: RelativePath
    bytes: int = Field(gt=0)
    sha256: Sha256


class HubSource(Model):
    """A repository on a hub that speaks Hugging Face's protocol, at one commit."""

    repo: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}$")]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    files: list[CatalogFile] = Field(min_length=1)


class Needs(Model):
    """What an engine with this model loaded takes. `memory` counts weights, KV cache at `context` and the runtime."""

    memory: Annotated[str, Field(pattern=r"^\d+(Mi|Gi)$")]
    cpu: Annotated[str, Field(pattern=r"^\d+m?$")]


class Fact(Model):
    """Where a figure of this entry comes from."""

    what: str
    source: str
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class CatalogEntry(Model):
    """The whole file."""

    id: ModelId
    name: str
    aliases: list[ServedName] = Field(default_factory=list)
    format: Literal["gguf"]
    quantization: str
    context: int = Field(gt=0)
    """Tokens."""
    license: str
    hub: HubSource
    ollama: OllamaRecipe = OllamaRecipe()
    needs: Needs
    facts: list[Fact] = Field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(f.bytes for f in self.hub.files)


class CatalogError(ValueError):
    """A catalog that cannot be read; one line for each thing wrong, each with its file."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def load_catalog(folder: Path) -> dict[str, CatalogEntry]:
    """Read `folder`/*.yaml by id. Raises CatalogError with every problem of every file at once."""
    entries: dict[str, CatalogEntry] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            entry = CatalogEntry.model_validate(yaml.safe_load(path.read_text()))
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors()]
            problems += [f"catalog/models/{path.name}: {line}" for line in wrong]
        except yaml.YAMLError as error:
            problems.append(f"catalog/models/{path.name}: not YAML: {' '.join(str(error).split())}")
        else:
            if entry.id != path.stem:
                problems.append(f"catalog/models/{path.name}: id: is {entry.id!r}; it must equal the file's name")
            entries[entry.id] = entry
    if problems:
        raise CatalogError(problems)
    return entries

"""weights.json: the files of the models, and their sources.

A plan is named by its content, never by where the bytes come from: two plans that end in the same files on disk
have the same digest, so a mirror or a local hub finds what another source has already filled.
"""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from .base import Model
from .url import UrlError, authority

FIRST_PULL = "first-pull"
"""Placeholder for an unknown sha256, which the first pull records. Only stack dev accepts it."""

EXIT_PERMANENT = 3
"""Exit status of `fetch` after an error that a retry would meet again."""

MODEL_FOLDERS = "models"
"""Folder of a store in which each model has its files under their own names, if a setting asks for that."""


def _contained(path: str) -> str:
    if path.startswith("/") or "\\" in path or "\0" in path or any(p in ("", "..", ".") for p in path.split("/")):
        msg = f"must be a relative path without '..': {path!r}"
        raise ValueError(msg)
    return path


def _not_cloud(name: str) -> str:
    # Ollama sends such names to ollama.com, or reads them as a choice of source: types/model, server/cloud_proxy.go.
    if is_cloud(name) or name.casefold().endswith(":local"):
        msg = (
            f"{name!r} ends in a word that Ollama reads as a source of models, not as a name. Fix: choose another name"
        )
        raise ValueError(msg)
    return name


def _plain_url(url: str) -> str:
    try:
        authority(url)
    except UrlError as reason:
        # The message must not quote what may be a password.
        msg = f"{reason}. Fix: write SCHEME://HOST/…; a token comes from --token-file or HF_TOKEN"
        raise ValueError(msg) from None
    return url


COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
REPOSITORY = rf"{COMPONENT}(?:/{COMPONENT})*"
"""The name of a repository in a registry, by the distribution specification."""
RelativePath = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_contained)]
ModelId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$"), AfterValidator(_not_cloud)]
"""A catalog id. The grammar fits inside Ollama's model names and Kubernetes label values."""
ServedName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,79})?$"),
    AfterValidator(_not_cloud),
]
"""`model` or `model:tag`, as Ollama lists it; without a tag it is `:latest`."""
Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64}|first-pull)$")]
Url = Annotated[
    str,
    Field(
        pattern=rf"^(https?://[^\s/]+/\S+|oci(\+http)?://[^\s/]+/{REPOSITORY}@sha256:[0-9a-f]{{64}})$",
        max_length=2048,
    ),
    AfterValidator(_plain_url),
]
"""A file of a hub or of any web server, or `oci://HOST/REPOSITORY@sha256:…` (`oci+http:` without TLS), an artifact that
holds it."""
Endpoint = Annotated[
    str, Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*[^\s/?#])?$", max_length=600), AfterValidator(_plain_url)
]
"""Base URL of a hub, without a slash at the end."""


class WeightsFile(Model):
    """One file of a model: where it comes from and what it must be."""

    path: RelativePath
    url: Url
    revision: str | None = Field(default=None, min_length=1, max_length=128)
    """Commit of the hub's repository the file is pinned to, with which the hub must answer; none where it is no hub."""
    bytes: int = Field(gt=0)
    sha256: Sha256

    @model_validator(mode="after")
    def _pinned(self) -> "WeightsFile":
        artifact = self.url.startswith("oci")
        if artifact and self.revision is not None:
            msg = "an artifact is pinned by its digest. Fix: remove `revision`"
            raise ValueError(msg)
        if not artifact and self.revision is None and self.sha256 == FIRST_PULL:
            msg = "a file at a plain URL has no pin. Fix: write its sha256"
            raise ValueError(msg)
        return self


class OllamaRecipe(Model):
    """Metadata that Ollama stores next to the weights: the prompt template and default parameters."""

    template: str | None = None
    params: dict[str, str | int | FiniteFloat | bool | list[str]] = Field(default_factory=dict)


class ModelWeights(Model):
    """The files of one model and the names under which the engine lists it, the first one canonical."""

    id: ModelId
    served_names: list[ServedName] = Field(min_length=1)
    format: Literal["gguf"]
    files: list[WeightsFile] = Field(min_length=1)
    ollama: OllamaRecipe = OllamaRecipe()


class WeightsPlan(Model):
    """The whole file: what a store must hold."""

    # The field is `schema` in the file; pydantic's BaseModel has an attribute of that name.
    schema_: Literal[1] = Field(default=1, alias="schema")
    models: list[ModelWeights] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> "WeightsPlan":
        owners: dict[str, str] = {}
        for model in self.models:
            if model.id in owners.values():
                msg = f"model {model.id!r} is listed twice"
                raise ValueError(msg)
            for name in model.served_names:
                if (other := owners.setdefault(canonical(name), model.id)) != model.id:
                    msg = f"name {name!r} stands for both {other!r} and {model.id!r}"
                    raise ValueError(msg)
        return self

    def digest(self) -> str:
        """Return the sha256 (hex) of all that ends up on disk: ids, names, paths, sizes, hashes, recipes; not the URLs.

        A file without a known hash is identified by its source instead.
        """
        content = self.model_dump(mode="json", by_alias=True)
        for model in content["models"]:
            for file in model["files"]:
                if file["sha256"] != FIRST_PULL:
                    del file["url"], file["revision"]
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def name_of(self, file: WeightsFile) -> str:
        """Return the name of one of the files for messages."""
        owner = next((model.id for model in self.models if file in model.files), "?")
        return f"model {owner}, file {file.path}"

    def total_bytes(self) -> int:
        """Return the size of all files in bytes, each content counted once."""
        files = [f for m in self.models for f in m.files]
        return sum({f.sha256 if f.sha256 != FIRST_PULL else f.url: f.bytes for f in files}.values())


def canonical(name: str) -> str:
    """Return the name in Ollama's normal form: `Llama3`, `llama3:latest` and `library/llama3` are one model."""
    name = name.casefold().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] else name + ":latest"


def is_cloud(name: str) -> bool:
    """Tell if Ollama would send requests for this name to ollama.com instead of answering them."""
    return name.casefold().endswith((":cloud", "-cloud"))

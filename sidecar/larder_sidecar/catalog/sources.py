"""Sources of a catalog entry's files: a hub, plain URLs, or an artifact of a registry."""

from typing import Annotated
from urllib.parse import quote

from pydantic import ConfigDict, Field

from ..config.base import Model
from ..config.weights import REPOSITORY, RelativePath, Sha256, Url, WeightsFile


class Described(Model):
    """Base of every part of an entry. The docstring of a field is shown to the author of a wrong one."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class CatalogFile(Described):
    """One file."""

    path: RelativePath
    """The file in the repository."""
    bytes: int = Field(gt=0, lt=2**53)
    """Its size."""
    sha256: Sha256
    """Write the sha256 of the file, 64 lower-case hex digits, or `first-pull`, which only stack dev accepts."""


class HubSource(Described):
    """A repository on a hub that speaks Hugging Face's protocol, at one commit."""

    repo: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}$")]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    files: list[CatalogFile] = Field(min_length=1)

    def weights(self, endpoint: str) -> list[WeightsFile]:
        """Return its files on the hub at `endpoint`."""
        base = f"{endpoint}/{self.repo}/resolve/{self.revision}"
        return [
            WeightsFile(url=f"{base}/{quote(file.path)}", revision=self.revision, **vars(file)) for file in self.files
        ]


class HttpsFile(CatalogFile):
    """One file at a URL of its own."""

    url: Annotated[Url, Field(pattern=r"^https://")]
    """Write a URL that anybody may read, as in https://models.example/tiny.gguf."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Write the sha256 of the file, 64 lower-case hex digits: nothing else says what a URL must give."""


class HttpsSource(Described):
    """Files at plain URLs, pinned by size and sha256."""

    files: list[HttpsFile] = Field(min_length=1)

    def weights(self, _: str) -> list[WeightsFile]:
        """Return its files."""
        return [WeightsFile(**vars(file)) for file in self.files]


class ArtifactSource(Described):
    """An OCI artifact that anybody may pull, as `oras push` or `modctl push` makes them."""

    artifact: Annotated[str, Field(pattern=rf"^[A-Za-z0-9.-]+(:[0-9]{{1,5}})?/{REPOSITORY}@sha256:[0-9a-f]{{64}}$")]
    """HOST/REPOSITORY@sha256:…, the digest of its manifest."""
    files: list[CatalogFile] = Field(min_length=1)
    """Each by its sha256, or by its name in the artifact (org.opencontainers.image.title)."""

    def weights(self, _: str) -> list[WeightsFile]:
        """Return its files."""
        return [WeightsFile(url=f"oci://{self.artifact}", **vars(file)) for file in self.files]

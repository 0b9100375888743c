"""Files of OCI artifacts in a registry: of ORAS, of ModelPack, or of any manifest with files as unpacked layers.

A manifest is trusted if its bytes have the requested digest. It says which blob is the file, and so the file's sha256.
Blobs come from the registry, or from a host that it redirects to.
"""

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping

import urllib3
from pydantic import AliasChoices, BaseModel, Field, ValidationError

from ...config.weights import WeightsFile
from ..client.address import require_address
from ..client.auth import RegistryAuth
from ..client.client import Client
from ..client.login import Login
from ..client.refusal import read_refusal, reject_web_page
from ..errors import ContentError, HubError, NotFoundError
from ..oci import MANIFEST, MAX_MANIFEST, registry_address, repository_name
from .source import CONTENT, FileMetadata

_MANIFESTS = (
    MANIFEST,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.artifact.manifest.v1+json",
)
_TITLES = ("org.opencontainers.image.title", "org.cnai.model.filepath")
"""Annotations with a file's name, of ORAS and of ModelPack."""
_PUBLIC = "Make the artifact public: Larder fetches public artifacts only."
_URL = re.compile(r"oci(\+http)?://([^/]+)/([^@]+)@(sha256:[0-9a-f]{64})")


class _Layer(BaseModel):
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    size: int = Field(ge=0)
    media_type: str = Field(alias="mediaType")
    annotations: dict[str, str] | None = None

    @property
    def sha256(self) -> str:
        return self.digest.removeprefix("sha256:")

    @property
    def titles(self) -> set[str]:
        annotations = self.annotations or {}
        return {annotations[key] for key in _TITLES if key in annotations}


class _Manifest(BaseModel):
    layers: list[_Layer] = Field(validation_alias=AliasChoices("layers", "blobs"))
    """Layers of the manifest; OCI's manifest of an artifact calls them `blobs`."""


class Artifact:
    """Registries of public artifacts. They get no credentials."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._logins: dict[str, Login] = {}
        self._manifests: dict[str, _Manifest] = {}
        self._lock = threading.Lock()

    def metadata(self, file: WeightsFile) -> FileMetadata:
        """Return sha256 and size of the file by its manifest. Raises HubError; ContentError for another manifest."""
        layer = self._find_layer(file)
        return FileMetadata(sha256=layer.sha256, bytes=layer.size)

    @contextlib.contextmanager
    def content(self, file: WeightsFile, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """Yield the answer to a GET of the file's blob with `headers`. Raises HubError."""
        base, _ = _parse_url(file.url)
        url = f"{base}/blobs/{self._find_layer(file).digest}"
        with self._ask(url, base, headers) as response:
            if response.status not in CONTENT:
                raise self._refusal(response, url, base)
            reject_web_page(response, file)
            yield response

    def _find_layer(self, file: WeightsFile) -> _Layer:
        base, digest = _parse_url(file.url)
        with self._lock:
            if file.url not in self._manifests:
                self._manifests[file.url] = self._read_manifest(file, base, digest)
            layers = self._manifests[file.url].layers
        named = [layer for layer in layers if layer.sha256 == file.sha256]
        named = named or [layer for layer in layers if file.path in layer.titles]
        if not named:
            there = ", ".join(sorted(title for layer in layers for title in layer.titles))[:300]
            raise NotFoundError(
                f"{file.url}: the artifact has no file {file.path}; it has {there or 'no named files'}",
                "Check `oci.files` of the catalog entry.",
            )
        if re.search(r"[.+](tar|gzip|zstd)\b", named[0].media_type):
            raise HubError(
                f"{file.url}: {file.path} is packed ({named[0].media_type})",
                "Push the unpacked file, with `oras push` or with `modctl build` and raw layers.",
            )
        return named[0]

    def _read_manifest(self, file: WeightsFile, base: str, digest: str) -> _Manifest:
        url = f"{base}/manifests/{digest}"
        with self._ask(url, base, {"Accept": ", ".join(_MANIFESTS)}) as response:
            if response.status != 200:
                raise self._refusal(response, url, base)
            content = response.read(MAX_MANIFEST + 1)
        if len(content) > MAX_MANIFEST or f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise ContentError(
                f"{file.url}: the registry sends other bytes than the manifest of that digest", "Use another registry."
            )
        try:
            return _Manifest.model_validate(json.loads(content))
        except (ValidationError, ValueError, RecursionError):
            raise HubError(
                f"{file.url} is not a manifest with layers", "Use the digest of one manifest if this is an index."
            ) from None

    def _ask(
        self, url: str, base: str, headers: Mapping[str, str]
    ) -> contextlib.AbstractContextManager[urllib3.BaseHTTPResponse]:
        api, repository = _api(base)
        auth = RegistryAuth(require_address(api), base, repository, self._login(base))
        return self._client.ask("GET", url, headers, auth=auth)

    def _login(self, base: str) -> Login:
        return self._logins.setdefault(_api(base)[0], Login(remedy=_PUBLIC))

    def _refusal(self, response: urllib3.BaseHTTPResponse, url: str, base: str) -> HubError:
        return read_refusal(response, url, "the registry", hide=self._login(base).secrets()).error(
            _PUBLIC, "Check the catalog entry, and that the artifact is still there."
        )


def _api(base: str) -> tuple[str, str]:
    """Return the URL of the registry's API, and the name of the repository."""
    root, _, repository = base.partition("/v2/")
    return f"{root}/v2/", repository


def _parse_url(url: str) -> tuple[str, str]:
    """Return the repository's URL in the registry's API, and the manifest's digest."""
    parts = _URL.fullmatch(url)
    if parts is None:  # a plan was validated when it was read
        raise HubError(f"{url[:300]} is not the URL of an artifact", "Write oci://HOST/REPOSITORY@sha256:….")
    scheme, host = "http" if parts[1] else "https", registry_address(parts[2])
    return f"{scheme}://{host}/v2/{repository_name(host, parts[3])}", parts[4]

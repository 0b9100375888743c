"""larder:manager: the model manager, and the Secret with its token."""

import re
from typing import Annotated, Literal

from larder_sidecar.config.manager import ID, StorageUri
from larder_sidecar.config.url import UrlError, authority
from larder_sidecar.config.weights import RelativePath
from pydantic import Field, field_validator

from .base import Block, Subdomain
from .node_local import NodeFolder

API_TOKEN = "larder:api-token"  # noqa: S105 (the name of a key)
"""The only key with a secret value. Pulumi decrypts it, and it never becomes part of `Settings`."""
TOKEN_SECRET = "larder-api-token"  # noqa: S105 (the name of a Secret)
SET_TOKEN = f"pulumi config set --secret {API_TOKEN} $(openssl rand -hex 32)"
_REPO = re.compile(r"^https?://[^\s/?#@]{1,253}(/[^\s?#@]{1,300})$")


class SyncedCatalog(Block):
    """The repository that git-sync copies."""

    repo: str
    """URL of the repository, https://…, without credentials; a private repository requires `secret`."""
    ref: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")] = "HEAD"
    """Branch, tag or commit."""
    period: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}[sm]$")] = "60s"
    """Interval between checks for changes, as in 60s or 5m."""
    path: RelativePath = "models"
    """Folder of the entries (*.yaml) in the repository, in the schema of catalog/models."""
    secret: Subdomain | None = None
    """Existing Secret with keys `username` and `token`, for a private repository."""

    @field_validator("repo")
    @classmethod
    def _check_repo(cls, repo: str) -> str:
        # The value itself is not repeated: it may hold a token.
        try:
            reached = _REPO.fullmatch(repo) and authority(repo)
        except UrlError:
            reached = None
        if not reached:
            msg = "is not a URL for git-sync. Fix: write https://host/path; credentials go into `secret`."
            raise ValueError(msg)
        return repo


class ApiToken(Block):
    """The Secret with the bearer token."""

    secret: Subdomain
    """Existing Secret with the token under its key `token`."""


class Inference(Block):
    """The InferenceService that the manager applies."""

    storage_uri: StorageUri
    """Address of a model for KServe, with {id} in place of its id: pvc, oci+native, oci, hf, s3, gs or https."""
    runtime: Subdomain = "vllm-runtime"
    """ServingRuntime of the cluster that serves the models."""
    model_format: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$")] = "custom"
    """Format of the models, as the runtime calls it."""
    args: list[str] = Field(default=[f"--served-model-name={ID}"])
    """More arguments of the runtime's container, with {id} in place of the model's id."""


class Manager(Block):
    """The manager's Deployment."""

    workload: Literal["deployment", "knative"] = "deployment"
    """Workload that runs the manager; knative is refused with the reason."""
    catalog: SyncedCatalog
    """The repository that git-sync copies: {repo, ref, period, path, secret}."""
    inference: Inference | None = None
    """The InferenceService to apply: {storage-uri, runtime, model-format, args}; required without larder:kserve."""
    api_token: ApiToken | None = None
    """The token that changes require: {secret}. Default: Secret larder-api-token, made from larder:api-token."""
    state: NodeFolder
    """Volume model-manager-state, with the history: {node, path, size}."""

    @field_validator("workload")
    @classmethod
    def _check_workload(cls, workload: str) -> str:
        if workload == "knative":
            msg = (
                "'knative' is not supported: Knative takes no native sidecar for git-sync, mounts a claim only with "
                "a feature flag, and starts a new pod beside the old one, but the history has one writer. "
                "Fix: choose deployment."
            )
            raise ValueError(msg)
        return workload

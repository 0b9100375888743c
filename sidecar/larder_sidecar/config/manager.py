"""manager.json: the folder of the catalog, the InferenceService that serves, its address and its limits."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from .base import Model
from .gateway import Address, Seconds, reachable
from .layout import ADMIN, CLIENTS, TOKENS
from .weights import RelativePath

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ID = "{id}"
"""Placeholder for the model's id in `storage-uri` and `args`."""
GROUP = "serving.kserve.io/v1beta1"
MODEL = "larder/model"
"""Annotation with the catalog id of the active model."""


def _names_the_model(uri: str) -> str:
    if ID not in uri:
        fix = f"Fix: add it, as in pvc://models/{ID}"
        msg = f"must contain {ID} in place of the model's id: otherwise every model would be the same. {fix}"
        raise ValueError(msg)
    return uri


StorageUri = Annotated[
    str,
    Field(pattern=r"^(pvc|oci\+native|oci|hf|s3|gs|https)://[A-Za-z0-9{][^\s@]{0,500}$"),
    AfterValidator(_names_the_model),
]
"""URI with a scheme that KServe knows. KServe takes any other, and fails minutes later with only an event."""


SourceUri = Annotated[
    str,
    Field(pattern=r"^(pvc|oci\+native|oci|hf|s3|gs|https)://[A-Za-z0-9][^\s@]{0,500}(@sha256:[0-9a-f]{64})?$"),
]
"""URI of one model, with the same schemes; an image by its digest."""


DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
MODES = {"RawDeployment": "Standard", "Serverless": "Knative"}
"""Names of KServe's modes before 0.16 -> those that it writes since."""


def _todays_mode(annotations: dict[str, str]) -> dict[str, str]:
    mode = annotations.get(DEPLOYMENT_MODE)
    return {**annotations, DEPLOYMENT_MODE: MODES.get(mode, mode)} if mode else annotations


class UnknownSourceError(Exception):
    """The error for a model without weights: neither `sources` nor a `storage-uri` leads to any."""

    def __init__(self, model: str, known: Iterable[str]) -> None:
        super().__init__(f"weights of {model} are not cached here. Cached models: {', '.join(sorted(known))}")


class ApiServer(Model):
    """Kubernetes' API server, and our credentials for it."""

    url: Annotated[str, Field(pattern=r"^https://[^\s/?#@]+$"), AfterValidator(reachable)] = (
        "https://kubernetes.default.svc"
    )
    token_file: Path = SERVICE_ACCOUNT / "token"
    """Token file, read again for each request: the kubelet renews it."""
    ca_file: Path = SERVICE_ACCOUNT / "ca.crt"


class SyncedFolder(Model):
    """The folder that git-sync publishes."""

    link: Path = Path("/catalog/current")
    """Symbolic link that git-sync flips; the last part of its target is the commit. A plain folder is valid too."""
    path: RelativePath = "models"
    """The folder of *.yaml in the repository."""


class InferenceService(Model):
    """The InferenceService that serves the active model."""

    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    name: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")] = "active-llm"
    """KServe takes no dot in it, and no digit at its beginning."""
    annotations: Annotated[dict[str, str], AfterValidator(_todays_mode)] = Field(default={DEPLOYMENT_MODE: "Standard"})
    predictor: dict[str, JsonValue]
    """The predictor for every model; `model` in it gets the storage URI and more arguments."""
    storage_uri: StorageUri | None = None
    """URI of every model that `sources` does not name."""
    sources: dict[str, SourceUri] = Field(default={})
    """URIs by model id, for models that `storage-uri` does not fit."""
    args: list[str] = Field(default=[f"--served-model-name={ID}"])
    """Arguments added after those of the predictor's own model."""

    @model_validator(mode="after")
    def _weights_are_somewhere(self) -> Self:
        if self.storage_uri is None and not self.sources:
            msg = "has neither storage-uri nor sources. Fix: set one of them, so that models have weights"
            raise ValueError(msg)
        return self

    def uri(self, model: str) -> str:
        """Return the URI from which KServe loads the model. Raises UnknownSourceError."""
        if source := self.sources.get(model):
            return source
        if self.storage_uri is None:
            raise UnknownSourceError(model, self.sources)
        return self.storage_uri.replace(ID, model)

    def of(self, model: str) -> dict[str, Any]:
        """Return the object that serves this model of the catalog. Raises UnknownSourceError."""
        base = self.predictor.get("model")
        served: dict[str, Any] = dict(base) if isinstance(base, dict) else {}
        served["storageUri"] = self.uri(model)
        served["args"] = [*served.get("args", []), *(argument.replace(ID, model) for argument in self.args)]
        return {
            "apiVersion": GROUP,
            "kind": "InferenceService",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "annotations": {**self.annotations, MODEL: model},
            },
            "spec": {"predictor": {**self.predictor, "model": served}},
        }


class ManagerConfig(Model):
    """The whole file."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    listen: Address = f"[::]:{CLIENTS}"
    admin: Address = f"[::]:{ADMIN}"
    token_file: Path = Path(TOKENS, "token")
    """File with the bearer token that permits clients to activate models."""
    state: Path = Path("/app/state")
    catalog: SyncedFolder = SyncedFolder()
    api: ApiServer = ApiServer()
    inference_service: InferenceService
    min_bandwidth: int = Field(default=20 * 2**20, gt=0)
    """Bytes per second. A model has bytes / min-bandwidth + slack-seconds to become ready."""
    slack_seconds: Seconds = 120
    poll_seconds: Annotated[float, Field(gt=0, le=60)] = 1

    def ready_seconds(self, weights: int) -> float:
        """Return the time limit for a model of `weights` bytes to become ready, in seconds."""
        return weights / self.min_bandwidth + self.slack_seconds

"""manager.json: where the catalog is synced to, which InferenceService serves, how it is reached and changed."""

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
"""Stands for the model's id in `storage-uri` and `args`."""
GROUP = "serving.kserve.io/v1beta1"
MODEL = "larder/model"
"""Annotation: the catalog id of what is served."""


def _names_the_model(uri: str) -> str:
    if ID not in uri:
        msg = f"must hold {ID} where the model's id goes, or every model would be the same"
        raise ValueError(msg)
    return uri


StorageUri = Annotated[
    str,
    Field(pattern=r"^(pvc|oci\+native|oci|hf|s3|gs|https)://[A-Za-z0-9{][^\s@]{0,500}$"),
    AfterValidator(_names_the_model),
]
"""KServe takes any scheme and fails on those it does not know minutes later, with an event and nothing else."""


SourceUri = Annotated[
    str,
    Field(pattern=r"^(pvc|oci\+native|oci|hf|s3|gs|https)://[A-Za-z0-9][^\s@]{0,500}(@sha256:[0-9a-f]{64})?$"),
]
"""The same, of one model; an image by its digest."""


DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
MODES = {"RawDeployment": "Standard", "Serverless": "Knative"}
"""Names that KServe had for modes before 0.16 -> those that it writes since."""


def _todays_mode(annotations: dict[str, str]) -> dict[str, str]:
    mode = annotations.get(DEPLOYMENT_MODE)
    return {**annotations, DEPLOYMENT_MODE: MODES.get(mode, mode)} if mode else annotations


class UnknownSourceError(Exception):
    """The weights of this model are nowhere: neither `sources` nor a `storage-uri` lead to them."""

    def __init__(self, model: str, known: Iterable[str]) -> None:
        super().__init__(f"no weights of {model} are cached here; models that are: {', '.join(sorted(known))}")


class ApiServer(Model):
    """Kubernetes' API server, and what proves to it who we are."""

    url: Annotated[str, Field(pattern=r"^https://[^\s/?#@]+$"), AfterValidator(reachable)] = (
        "https://kubernetes.default.svc"
    )
    token_file: Path = SERVICE_ACCOUNT / "token"
    """Read anew for each request: the kubelet renews it."""
    ca_file: Path = SERVICE_ACCOUNT / "ca.crt"


class SyncedFolder(Model):
    """What git-sync publishes."""

    link: Path = Path("/catalog/current")
    """The symbolic link it flips; the last part of what it points to is the commit. A plain folder will do as well."""
    path: RelativePath = "models"
    """The folder of *.yaml in the repository."""


class InferenceService(Model):
    """The one that serves whichever model is active."""

    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    name: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")] = "active-llm"
    """KServe takes no dot in it, and no digit at its beginning."""
    annotations: Annotated[dict[str, str], AfterValidator(_todays_mode)] = Field(default={DEPLOYMENT_MODE: "Standard"})
    predictor: dict[str, JsonValue]
    """Its predictor as it is for every model; `model` gets the storage URI and more arguments."""
    storage_uri: StorageUri | None = None
    """Of every model that `sources` does not name."""
    sources: dict[str, SourceUri] = Field(default={})
    """By the model's id, where the URI does not follow from it."""
    args: list[str] = Field(default=[f"--served-model-name={ID}"])
    """After those of the predictor's own model."""

    @model_validator(mode="after")
    def _weights_are_somewhere(self) -> Self:
        if self.storage_uri is None and not self.sources:
            msg = "holds neither storage-uri nor sources: no model would have weights"
            raise ValueError(msg)
        return self

    def uri(self, model: str) -> str:
        """Where KServe finds the model. Raises UnknownSourceError."""
        if source := self.sources.get(model):
            return source
        if self.storage_uri is None:
            raise UnknownSourceError(model, self.sources)
        return self.storage_uri.replace(ID, model)

    def of(self, model: str) -> dict[str, Any]:
        """The object that serves this model of the catalog. Raises UnknownSourceError."""
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
    """Whoever sends its content as a bearer token may activate models."""
    state: Path = Path("/app/state")
    catalog: SyncedFolder = SyncedFolder()
    api: ApiServer = ApiServer()
    inference_service: InferenceService
    min_bandwidth: int = Field(default=20 * 2**20, gt=0)
    """Bytes a second. A model has bytes / min-bandwidth + slack-seconds to become ready."""
    slack_seconds: Seconds = 120
    poll_seconds: Annotated[float, Field(gt=0, le=60)] = 1

    def ready_seconds(self, weights: int) -> float:
        """How long a model of so many bytes may take until it is ready."""
        return weights / self.min_bandwidth + self.slack_seconds

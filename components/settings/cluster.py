"""larder:cluster: which cluster, and where in it."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from .base import Block

Kind = Literal["embedded", "on-prem", "eks", "gke", "aks"]
CLOUDS = {
    "eks": ("name", "region", "subnets", "node-role"),
    "gke": ("name", "project", "location"),
    "aks": ("name", "subscription", "resource-group"),
}
"""Kinds whose machines come from a cloud, each with what leads to the cluster that is there already."""
EMBEDDED_CONTEXT = "larder"
"""The context in the embedded cluster's own kubeconfig."""
EMBEDDED_KUBERNETES = "1.36"
"""What the testbed pins; a test holds one against the other."""

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.():/-]{0,254}$")]


class Cluster(Block):
    """The cluster everything is deployed to. It exists; Larder makes node pools in it and objects on it."""

    kind: Kind
    """What kind of cluster it is: embedded, on-prem, eks, gke or aks."""
    context: str = Field(default="", validate_default=True)
    """The kube context to use; never the current one. Default: larder on an embedded cluster, none elsewhere."""
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] = "ai"
    """The namespace of everything that lives in one: lower-case letters, digits and dashes."""
    name: Word | None = Field(None, validate_default=True)
    """The cluster's name in its cloud."""
    region: Word | None = Field(None, validate_default=True)
    """The AWS region of the cluster, as in eu-central-1."""
    subnets: Annotated[list[Word], Field(min_length=1)] | None = Field(None, validate_default=True)
    """Ids of the subnets that get the machines, as in subnet-0a1b2c3d4e5f."""
    node_role: Annotated[str, Field(pattern=r"^arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,500}$")] | None = (
        Field(None, validate_default=True)
    )
    """ARN of the IAM role of the machines, as in arn:aws:iam::123456789012:role/nodes."""
    project: Word | None = Field(None, validate_default=True)
    """The Google Cloud project of the cluster."""
    location: Word | None = Field(None, validate_default=True)
    """The region or zone of the cluster, as in europe-west4."""
    subscription: Word | None = Field(None, validate_default=True)
    """Id of the Azure subscription of the cluster."""
    resource_group: Word | None = Field(None, validate_default=True)
    """The Azure resource group of the cluster."""

    kubernetes: Annotated[str, Field(pattern=r"^1\.[0-9]{1,3}$")] | None = None
    """Version of the cluster in quotes, as in '1.36', to know before `up` what it can. Default: known if embedded."""

    @property
    def version(self) -> tuple[int, int] | None:
        """Major and minor of its Kubernetes, where that is known."""
        said = self.kubernetes or (EMBEDDED_KUBERNETES if self.kind == "embedded" else None)
        return (int(said.split(".")[0]), int(said.split(".")[1])) if said else None

    @field_validator("namespace")
    @classmethod
    def _namespace_is_ours(cls, namespace: str) -> str:
        if namespace.startswith("kube-") or namespace == "default":
            # `up` labels the namespace, which holds for every pod in it, and `destroy` deletes it.
            whose = "everybody's" if namespace == "default" else "Kubernetes' own"
            msg = (
                f"{namespace!r} is {whose}, and Larder declares its namespace: labels it and, in the end, deletes it. "
                "Write a namespace for Larder alone, as in ai."
            )
            raise ValueError(msg)
        return namespace

    @field_validator("context")
    @classmethod
    def _context_is_said(cls, context: str, info: ValidationInfo) -> str:
        kind = info.data.get("kind")
        if context or kind is None:
            return context
        if kind != "embedded":
            msg = f"is missing. Name the kube context of the {kind} cluster; the current one is never used."
            raise ValueError(msg)
        return EMBEDDED_CONTEXT

    @field_validator("name", "region", "subnets", "node_role", "project", "location", "subscription", "resource_group")
    @classmethod
    def _leads_to_the_cluster(cls, value: str | list[str] | None, info: ValidationInfo) -> str | list[str] | None:
        kind, field = info.data.get("kind"), str(info.field_name)
        if kind is None:
            return value
        wanted = field.replace("_", "-") in CLOUDS.get(kind, ())
        if wanted and value is None:
            msg = f"is missing, and kind {kind} needs it. {cls.model_fields[field].description}"
            raise ValueError(msg)
        if not wanted and value is not None:
            msg = f"means nothing to a cluster of kind {kind}. Drop it."
            raise ValueError(msg)
        return value

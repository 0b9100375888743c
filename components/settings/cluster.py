"""larder:cluster: which cluster, and where in it."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from .base import Block

Kind = Literal["embedded", "on-prem", "eks", "gke", "aks"]
EMBEDDED_CONTEXT = "larder"
"""The context in the embedded cluster's own kubeconfig."""


class Cluster(Block):
    """The cluster everything is deployed to."""

    kind: Kind
    """What kind of cluster it is: embedded, on-prem, eks, gke or aks."""
    context: str = Field(default="", validate_default=True)
    """The kube context to use; never the current one. Default: larder on an embedded cluster, none elsewhere."""
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] = "ai"
    """The namespace of everything that lives in one: lower-case letters, digits and dashes."""

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

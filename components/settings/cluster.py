"""larder:cluster: which cluster, and where in it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .base import Block

Kind = Literal["embedded", "on-prem", "eks", "gke", "aks"]
EMBEDDED_CONTEXT = "larder"
"""The context in the embedded cluster's own kubeconfig."""


class Cluster(Block):
    """The cluster everything is deployed to."""

    kind: Kind
    """What kind of cluster it is: embedded, on-prem, eks, gke or aks."""
    context: str | None = Field(None, min_length=1, validate_default=True)
    """The kube context to use; never the current one. Only `embedded` has a default: larder."""
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] = "ai"
    """The namespace of everything that lives in one: lower-case letters, digits and dashes."""

    @model_validator(mode="after")
    def _context_is_said(self) -> Self:
        if self.context is None and self.kind != "embedded":
            msg = (
                f"context is missing. Name the kube context of the {self.kind} cluster; the current one is never used."
            )
            raise ValueError(msg)
        return self

    @property
    def kube_context(self) -> str:
        """The context, with the default of the embedded cluster filled in."""
        return self.context or EMBEDDED_CONTEXT

"""larder:cluster: the settings that all kinds of clusters share, and those that all clouds share."""

from typing import Annotated, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from ..base import Block
from .facts import Facts

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.():/-]{0,254}$")]


class ClusterSettings(Block):
    """The cluster to deploy to. It exists already; Larder makes node pools and objects in it."""

    FACTS: ClassVar[Facts]

    kind: str
    """The kind of the cluster."""
    context: str = Field(default="", validate_default=True)
    """Kube context to use; the current one is never used. Default: larder if embedded; required elsewhere."""
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] = "ai"
    """Namespace that Larder creates and deletes: lower-case letters, digits and dashes; not default, not kube-…"""
    kubernetes: Annotated[str, Field(pattern=r"^1\.[0-9]{1,3}$")] | None = None
    """Version of the cluster in quotes, as in '1.36', for checks of a preview. Default: known if embedded."""

    @property
    def makes_machines(self) -> bool:
        """Tell if a cloud makes and deletes the machines. Otherwise nodes keep their names."""
        return self.FACTS.machines is not None

    @property
    def version(self) -> tuple[int, int] | None:
        """Return the major and minor version of its Kubernetes; None if it is unknown."""
        stated = self.kubernetes or self.FACTS.kubernetes
        return (int(stated.split(".")[0]), int(stated.split(".")[1])) if stated else None

    @field_validator("namespace")
    @classmethod
    def _check_namespace(cls, namespace: str) -> str:
        if namespace.startswith("kube-") or namespace == "default":
            # `up` sets labels that hold for every pod of the namespace, and `destroy` deletes it.
            owner = "every team" if namespace == "default" else "Kubernetes"
            msg = (
                f"{namespace!r} belongs to {owner}, and Larder labels its namespace and deletes it in the end. "
                "Fix: write a namespace for Larder alone, as in ai."
            )
            raise ValueError(msg)
        return namespace

    @field_validator("context")
    @classmethod
    def _check_context(cls, context: str, info: ValidationInfo) -> str:
        kind = info.data.get("kind")
        if context or kind is None:
            return context
        if not cls.FACTS.context:
            msg = f"kind {kind} requires a kube context, for the current one is never used. Fix: add its name."
            raise ValueError(msg)
        return cls.FACTS.context


class CloudSettings(ClusterSettings):
    """A cluster whose machines come from a cloud."""

    name: Word
    """The cluster's name in its cloud."""

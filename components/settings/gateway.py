"""larder:gateway: the names clients use, and how they reach the entry."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from .base import Block, Known
from .models import names_of
from .names import choices, did_you_mean

ServiceType = Literal["ClusterIP", "NodePort"]
DEFAULT_NODE_PORT = 30080


def _served(model: str, info: ValidationInfo) -> str:
    known = Known.of(info)
    if known and known.models is not None and model not in (ids := [entry.id for entry in known.models]):
        msg = f"{model!r} is not among larder:models. {did_you_mean(model, ids)}Choices: {choices(ids)}."
        raise ValueError(msg)
    return model


class Gateway(Block):
    """The gateway beside the engine."""

    default: str | None = None
    """The model that answers a request that names none, or `auto`. Default: the first of larder:models."""
    aliases: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.:/-]{0,127}$")], str] = Field(default_factory=dict)
    """More names for models: alias -> catalog id."""
    service: ServiceType | None = None
    """Type of Service larder. Default: NodePort on an embedded cluster, ClusterIP elsewhere."""
    node_port: Annotated[int, Field(ge=30000, le=32767)] | None = None
    """The port of every node that leads to the entry; only with NodePort. Default: 30080."""

    @field_validator("default")
    @classmethod
    def _default_is_served(cls, model: str | None, info: ValidationInfo) -> str | None:
        return model if model is None else _served(model, info)

    @field_validator("aliases")
    @classmethod
    def _aliases_are_unambiguous(cls, aliases: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        known = Known.of(info)
        taken = {
            name.casefold(): entry.id
            for entry in (known.models if known and known.models else ())
            for name in names_of(entry)
        }
        for alias, model in aliases.items():
            _served(model, info)
            if (other := taken.setdefault(alias.casefold(), model)) != model:
                msg = f"alias {alias!r} would stand for {model!r} but already names {other!r}. Choose another alias."
                raise ValueError(msg)
        return aliases

    @field_validator("node_port")
    @classmethod
    def _port_has_a_use(cls, port: int | None, info: ValidationInfo) -> int | None:
        if port is not None and info.data.get("service") == "ClusterIP":
            msg = "does nothing with service ClusterIP. Drop it, or set service: NodePort."
            raise ValueError(msg)
        return port

"""larder:gateway: which model answers, and how clients reach the entry."""

from collections.abc import Collection, Iterable
from typing import Annotated

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.cors import Cors as Rules
from larder_sidecar.config.cors import Origins, open_to_all
from larder_sidecar.config.gateway import Mutations, ServedModel
from pydantic import Field, ValidationInfo, field_validator

from .base import Block, Known, ObjectName
from .clusters import ServiceType
from .residency import Residency
from .routing import Routing
from .served import served
from .stack import StackSettings

DEFAULT_NODE_PORT = 30080


def needs_front(stacks: Collection[type[StackSettings]], replicated: Collection[str] = ()) -> bool:
    """Tell whether no gateway beside an engine leads to all models.

    KServe's pods take no gateway of ours, and a gateway beside one engine does not lead to another.
    """
    return len(stacks) > 1 or not all(stack.GATEWAY for stack in stacks) or bool(replicated)


class Auth(Block):
    """Who may change something through the gateway."""

    mutations: Mutations = "token"
    """Who may change what is loaded or kept: token (its bearer) or open (whoever reaches the gateway; in dev only)."""
    secret: ObjectName | None = None
    """An existing Secret with that token under its key `token`. Default: larder-api-token, where there is one."""


class Cors(Block):
    """Which web pages may ask."""

    origins: Origins = Field(default=[])
    """Origins whose pages may ask, as https://app.example, http://localhost:*, https://*.example.com. Default: none."""

    @property
    def rules(self) -> Rules:
        """The block as the gateway's file has it."""
        return Rules(origins=self.origins)


class Gateway(Block):
    """The gateway beside the engine."""

    routing: Routing = Field(default_factory=Routing)
    """Names and rules: {default, aliases, rules}."""
    residency: Residency = Field(default_factory=Residency)
    """Which models stay loaded: {strategy: ram | ssd | none, max-models, keep-alive, pin, preload, …}."""
    service: ServiceType | None = None
    """Type of Service larder. Default: NodePort on an embedded cluster, ClusterIP elsewhere."""
    node_port: Annotated[int, Field(ge=30000, le=32767)] | None = None
    """The port of every node that leads to the entry, 30000 to 32767; only with NodePort. Default: 30080."""
    auth: Auth = Field(default_factory=Auth)
    """Who may change something: {mutations: token | open, secret}."""
    cors: Cors = Field(default_factory=Cors)
    """Which web pages may ask: {origins}."""
    front: bool | None = None
    """Two gateways of their own before all stacks. Default: where a single gateway beside an engine will not do."""

    def served(self, entries: Iterable[CatalogEntry]) -> list[ServedModel]:
        """These models with all their names, as a gateway's file lists them."""
        return served(entries, self.routing.aliases)

    @field_validator("front")
    @classmethod
    def _one_gateway_is_enough(cls, front: bool | None, info: ValidationInfo) -> bool | None:
        if front is False and (known := Known.of(info)) and needs_front(known.stacks.values(), known.replicated):
            stacks = " and ".join(f"larder:{stack}" for stack in sorted(known.stacks))
            several = "" if needs_front(known.stacks.values()) else " and its replicas"
            msg = f"cannot be false with {stacks}{several}: no gateway would lead to all of their models. Drop it."
            raise ValueError(msg)
        return front

    @field_validator("cors")
    @classmethod
    def _not_everybody_changes_what_is_loaded(cls, cors: Cors, info: ValidationInfo) -> Cors:
        auth = info.data.get("auth")
        if auth and (problem := open_to_all(cors.rules, auth.mutations)):
            msg = f"{problem}, or set auth.mutations: token."
            raise ValueError(msg)
        return cors

    @field_validator("node_port")
    @classmethod
    def _port_has_a_use(cls, port: int | None, info: ValidationInfo) -> int | None:
        known = Known.of(info)
        service = info.data.get("service") or (known.cluster.FACTS.service if known and known.cluster else None)
        if port is not None and service == "ClusterIP":
            msg = "does nothing with service ClusterIP. Drop it, or set service: NodePort."
            raise ValueError(msg)
        return port

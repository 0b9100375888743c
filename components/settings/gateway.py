"""larder:gateway: names and rules for models, residency, and the way that clients reach the entry."""

from collections.abc import Collection, Iterable
from typing import Annotated

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.cors import Cors as Rules
from larder_sidecar.config.cors import Origins, open_to_all
from larder_sidecar.config.gateway import Mutations, ServedModel
from pydantic import Field, ValidationInfo, field_validator

from .base import Block, ObjectName
from .clusters import ServiceType
from .residency import Residency
from .routing import Routing
from .served import served
from .stack import StackSettings

DEFAULT_NODE_PORT = 30080


def needs_front(stacks: Collection[type[StackSettings]], replicated: Collection[str] = ()) -> bool:
    """Tell if no gateway beside an engine leads to all models.

    KServe's pods take no gateway of ours, and a gateway beside one engine does not lead to another.
    """
    return len(stacks) > 1 or not all(stack.GATEWAY for stack in stacks) or bool(replicated)


class Auth(Block):
    """Authorization of changes through the gateway."""

    mutations: Mutations = "token"
    """Clients that may load, unload, pull or delete models: token (holders of the token) or open (all; in dev only)."""
    secret: ObjectName | None = None
    """An existing Secret with the token for changes under its key `token`. Default: larder-api-token, if it exists."""


class Cors(Block):
    """Web pages that may call the gateway."""

    origins: Origins = Field(default=[])
    """Origins of these pages, as https://app.example, http://localhost:*, https://*.example.com. Default: none."""

    @property
    def rules(self) -> Rules:
        """Return the block as the gateway's file has it."""
        return Rules(origins=self.origins)


class Gateway(Block):
    """The gateway beside the engine."""

    routing: Routing = Field(default_factory=Routing)
    """Names and rules: {default, aliases, rules}."""
    residency: Residency = Field(default_factory=Residency)
    """Rules for loaded models: {strategy: ram | ssd | none, max-models, keep-alive, pin, preload, …}."""
    service: ServiceType | None = None
    """Type of Service larder. Default: NodePort on an embedded cluster, ClusterIP elsewhere."""
    node_port: Annotated[int, Field(ge=30000, le=32767)] | None = None
    """The port of every node that leads to the entry, 30000 to 32767; only with NodePort. Default: 30080."""
    auth: Auth = Field(default_factory=Auth)
    """Authorization of changes: {mutations: token | open, secret}."""
    cors: Cors = Field(default_factory=Cors)
    """Web pages that may call the gateway: {origins}."""
    front: bool | None = None
    """Run two gateways in front of all stacks. Default: true if no gateway beside an engine leads to all models."""

    def served(self, entries: Iterable[CatalogEntry]) -> list[ServedModel]:
        """Return these models with all their names, as a gateway's file lists them."""
        return served(entries, self.routing.aliases)

    @field_validator("cors")
    @classmethod
    def _check_open_mutations(cls, cors: Cors, info: ValidationInfo) -> Cors:
        auth = info.data.get("auth")
        if auth and (problem := open_to_all(cors.rules, auth.mutations)):
            msg = f"{problem}, or set auth.mutations: token."
            raise ValueError(msg)
        return cors

"""All settings of a stack as one value."""

from collections.abc import Iterable, Mapping
from typing import Any, Self, TypeVar

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.weights import WeightsPlan
from pydantic import Field, PrivateAttr

from .base import Catalog, GrowingBlock
from .cache import Cache
from .clusters import KINDS, AnyCluster, ServiceType
from .gateway import DEFAULT_NODE_PORT, Gateway, needs_front
from .hub import Hub
from .images import Images
from .manager import TOKEN_SECRET, Manager
from .models import Models
from .node_local import Folder
from .node_pools import NodePools, hosts_of
from .quantities import bandwidth_bytes
from .stack import StackSettings
from .stacks import STACKS, served_by
from .weights_plan import weights_plan

S = TypeVar("S", bound=StackSettings)
SLACK_SECONDS = 120
"""Seconds in every time budget beside the transfer: image pull, scheduling, hashing, the engine's start."""


class Settings(GrowingBlock):
    """The stack config. Its blocks are read and checked in this order, each against those above it.

    The blocks of the stacks follow `images`, in the order of the registry.
    """

    cluster: AnyCluster = Field(
        description=f"The cluster to deploy to: {{kind: {' | '.join(KINDS)}, context, namespace}}, and more in a cloud."
    )
    node_pools: NodePools
    """The machines that engines may run on: {<pool>: {hosts: [<node>]}} or {<pool>: {instance, min, max}}."""
    models: Models
    """Catalog ids (catalog/models/*.yaml) of the models to serve; the first one is the default model."""
    cache: Cache
    """The caching strategy and its block: {strategy: node-local, node-local: {node, path, size}}."""
    images: Images
    """Digest references {sidecar, ollama, …}; `make up` passes those of the images that it builds."""
    gateway: Gateway = Gateway()
    """The gateway: names and rules for models, residency, and its Service."""
    hub: Hub = Hub()
    """The hub from which weights are downloaded."""
    manager: Manager | None = None
    """The model manager: {catalog: {repo}, inference: {storage-uri}, state: {node, path, size}}. Default: none."""

    _catalog: Catalog = PrivateAttr(Catalog({}))
    _has_token: bool = PrivateAttr(default=False)
    _notes: tuple[str, ...] = PrivateAttr(())

    @classmethod
    def of_blocks(cls, blocks: Mapping[str, Any], *, catalog: Catalog, has_token: bool, notes: Iterable[str]) -> Self:
        """Return the settings with these blocks, by their fields. Access to any other block raises Unread."""
        settings = cls.in_part(blocks)
        known = (catalog, has_token, tuple(notes))
        settings._catalog, settings._has_token, settings._notes = known  # noqa: SLF001 (of this class)
        return settings

    @property
    def entries(self) -> tuple[CatalogEntry, ...]:
        """Return the catalog entries of `models`, in their order."""
        return self._catalog.of(self.models)

    @property
    def weights(self) -> WeightsPlan:
        """Return weights.json of all models."""
        return weights_plan(self.entries, self.hub.endpoint)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return a line for each former name of a setting, with today's name."""
        return self._notes

    @property
    def makes_token(self) -> bool:
        """Tell if the stack config has a value for Secret larder-api-token."""
        return self._has_token

    @property
    def gateway_secret(self) -> str | None:
        """Return the Secret with the token for changes through the gateway; None if there can be no changes."""
        auth = self.gateway.auth
        if auth.mutations == "open":
            return None
        pulls = any(stack.pulling for stack in self.blocks.values())
        return auth.secret or (TOKEN_SECRET if pulls or self._has_token else None)

    @property
    def blocks(self) -> dict[str, StackSettings]:
        """Return the blocks of the deployed stacks, by their names."""
        return {name: block for name, stack in STACKS.items() if (block := self.of(stack))}

    @property
    def stacks(self) -> dict[str, tuple[CatalogEntry, ...]]:
        """Return the models of each deployed stack: those it serves, or those that the manager may activate."""
        served = served_by(self.blocks, self.models)
        return {name: tuple(e for e in self.entries if e.id in mine) for name, mine in served.items()}

    def of(self, stack: type[S]) -> S | None:
        """Return the block of a stack; None if the stack file has none."""
        block = getattr(self, stack.NAME, None)
        return block if isinstance(block, stack) else None

    @classmethod
    def admit(cls, stacks: Iterable[type[StackSettings]]) -> None:
        """Add a field for the block of each of these stacks."""
        cls.take(
            {stack.NAME: (stack | None, Field(None, alias=stack.NAME, description=stack.HELP)) for stack in stacks},
            after="images",
        )

    @property
    def served(self) -> tuple[CatalogEntry, ...]:
        """Return the models that clients reach, in the order of `models`."""
        answered = {entry.id for entries in self.stacks.values() for entry in entries}
        return tuple(entry for entry in self.entries if entry.id in answered)

    @property
    def front(self) -> bool:
        """Tell if front gateways run in front of the stacks."""
        if self.gateway.front is not None:
            return self.gateway.front
        replicated = [name for name, block in self.blocks.items() if block.replicated > 1]
        return needs_front([type(block) for block in self.blocks.values()], replicated)

    @property
    def default_model(self) -> str:
        """Return the model that answers a request without a model."""
        return self.gateway.routing.default or self.served[0].id

    @property
    def service_type(self) -> ServiceType:
        """Return the type of the entry's Service."""
        return self.gateway.service or self.cluster.FACTS.service

    @property
    def node_port(self) -> int | None:
        """Return the entry's port on the nodes; None if its Service has none."""
        return (self.gateway.node_port or DEFAULT_NODE_PORT) if self.service_type == "NodePort" else None

    @property
    def weights_hosts(self) -> tuple[str, ...] | None:
        """Return the only nodes that can reach the weights; None if all can."""
        return self.cache.weights_hosts(hosts_of(self.node_pools))

    @property
    def kserve_hosts(self) -> tuple[str, ...]:
        """Return the names of the KServe stack's nodes; none if a cloud makes them."""
        hosts = hosts_of(self.node_pools)
        return next((hosts[block.pool] for block in self.blocks.values() if not block.GATEWAY), ())

    @property
    def local_volumes(self) -> list[Folder]:
        """Return every folder on a node's disk that holds data of this stack."""
        state = self.manager.state if self.manager else None
        return [block for block in (*self.cache.blocks, state) if isinstance(block, Folder)]

    @property
    def keeps_data(self) -> bool:
        """Tell if a volume is declared that outlives the stack."""
        return bool(self.local_volumes) or any(block.volume_size for block in self.cache.blocks)

    def budget_seconds(self, transferred: int) -> int:
        """Return the limit in seconds for a transfer of so many bytes."""
        return -(-transferred // bandwidth_bytes(self.cache.min_bandwidth)) + SLACK_SECONDS


Settings.admit(STACKS.values())

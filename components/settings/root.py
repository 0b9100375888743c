"""All settings of a stack, as one value."""

from larder_sidecar.catalog import CatalogEntry
from pydantic import Field, PrivateAttr

from .base import Block, Known
from .cache import Cache
from .cluster import Cluster
from .gateway import DEFAULT_NODE_PORT, Gateway, ServiceType, default_service
from .hub import Hub
from .images import Images
from .models import Models
from .node_pools import NodePools
from .ollama import Ollama
from .quantities import bandwidth_bytes

SLACK_SECONDS = 120
"""What every budget grants beside the transfer itself: image pull, scheduling, hashing, the engine's start."""


class Settings(Block):
    """The stack config. The order is the order of reading: a block may be judged against those above it."""

    cluster: Cluster
    """Which cluster: {kind: embedded | on-prem | eks | gke | aks, context, namespace, kubernetes}, in a cloud more."""
    node_pools: NodePools
    """The machines that engines may run on: {<pool>: {hosts: [<node>]}} or {<pool>: {instance, min, max}}."""
    models: Models
    """Catalog ids of the models to serve."""
    cache: Cache
    """How weights reach the engines: {strategy: none | image-volume | shared-storage | node-local, …}."""
    images: Images
    """Digest references {sidecar, ollama}; `make up` passes those of the images it has built."""
    ollama: Ollama
    """The Ollama stack: {pool: <pool of larder:node-pools>}."""
    gateway: Gateway = Field(default_factory=Gateway)
    """The gateway: default model, aliases, how clients reach it."""
    hub: Hub = Field(default_factory=Hub)
    """Where weights are downloaded from."""

    _entries: tuple[CatalogEntry, ...] = PrivateAttr(())

    def model_post_init(self, context: object) -> None:
        """Keep the catalog entries that the models were judged against."""
        if isinstance(context, Known) and context.models:
            self._entries = context.models

    @property
    def entries(self) -> tuple[CatalogEntry, ...]:
        """The catalog entries of `models`, in their order."""
        return self._entries

    @property
    def default_model(self) -> str:
        """Answers a request that names no model."""
        return self.gateway.default or self.models[0]

    @property
    def service_type(self) -> ServiceType:
        """How clients reach the entry."""
        return self.gateway.service or default_service(self.cluster.kind)

    @property
    def node_port(self) -> int | None:
        """The port of the nodes, where the Service has one."""
        return (self.gateway.node_port or DEFAULT_NODE_PORT) if self.service_type == "NodePort" else None

    def budget_seconds(self, transferred: int) -> int:
        """The longest that moving so many bytes may take."""
        return -(-transferred // bandwidth_bytes(self.cache.min_bandwidth)) + SLACK_SECONDS

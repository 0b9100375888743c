"""gateway.json: the engines, the models they may answer for, and the limits of the proxy in front of them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from .base import Model
from .cors import Cors, open_to_all
from .engines import ENGINES, EngineKind, engines_with
from .layout import ADMIN, CLIENTS
from .residency import Residency
from .routing import Routing
from .url import UrlError, authority
from .weights import Endpoint, ModelId, canonical, is_cloud


def reachable(place: str) -> str:
    """Return `place`, a URL or `host:port`, if every parser finds the same host in it. Raises ValueError."""
    try:
        # A listener takes port 0 as any free port.
        authority(place if "//" in place else f"tcp://{place.removesuffix(':0')}")
    except UrlError:
        msg = f"{place!r} is not an address that all parsers read alike. Fix: write host:port"
        raise ValueError(msg) from None
    return place


Address = Annotated[str, Field(pattern=r"^[0-9A-Za-z.\-\[\]:]+:\d{1,5}$"), AfterValidator(reachable)]
"""`host:port`."""
Seconds = Annotated[float, Field(ge=0, le=86_400)]


Mutations = Literal["token", "open"]
Role = Literal["alone", "front", "behind"]
DRAIN = ("x-larder-drain", "1")
"""The header of `GET /drain` that the pods' preStop hooks send. A web page cannot: a browser asks us first."""


class Engine(Model):
    """An engine: a process that holds weights, or (`gateway`) another gateway in front of one."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] = "engine"
    kind: EngineKind
    url: Annotated[str, Field(pattern=r"^http://[^\s/?#@]+$"), AfterValidator(reachable)]
    models: list[ModelId] | None = None
    """Ids of the models it answers for. A single engine answers for all, and may omit them."""
    replicated: bool = False
    """True if the host of `url` is a name for several gateways, each in front of an engine of its own."""

    @model_validator(mode="after")
    def _gateways_know_what_they_hold(self) -> "Engine":
        if self.replicated and self.kind != "gateway":
            msg = f"{self.kind} cannot be replicated: only gateways report their loaded models"
            raise ValueError(msg)
        return self


class ServedModel(Model):
    """A catalog model and how the engine calls it."""

    id: ModelId
    engine_name: str = Field(min_length=1)
    aliases: list[str] = Field(default=[])

    def names(self) -> list[str]:
        """Return every name by which a client may call the model."""
        return [self.id, self.engine_name, *self.aliases]

    @field_validator("engine_name")
    @classmethod
    def _stays_here(cls, name: str) -> str:
        if is_cloud(name):
            msg = f"{name!r} is answered by ollama.com, not by this engine"
            raise ValueError(msg)
        return name


class Pulls(Model):
    """Models that clients bring themselves: `POST /v1/api/pull` fetches a GGUF file from the hub into a folder."""

    folder: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._-]+)+$")] = "/models"
    """Folder in which the engine looks for them; a file appears there when it is whole and verified."""
    endpoint: Endpoint
    hub_token_file: str | None = None
    """The hub's token, for repositories that are not public."""


class Limits(Model):
    """Limits on the resources of one client. Times in seconds, sizes in bytes."""

    connections: int = Field(default=1024, gt=0)
    header_seconds: Seconds = 10
    """Time from the first byte of a connection or request until its header is complete."""
    body_seconds: Seconds = 60
    idle_seconds: Seconds = 75
    """Time that a connection may be idle; above the 60 s of common load balancers so that they close first."""
    body_bytes: int = Field(default=32 * 2**20, gt=0)
    """Limit for one body. Vision requests carry images inline; Ollama itself takes 20 MiB of them."""
    buffered_bytes: int = Field(default=256 * 2**20, gt=0)
    """Limit for request bodies in memory over all connections; requests beyond it are answered 503."""
    connect_seconds: Seconds = 5
    hold_seconds: Seconds = 0
    """Time that a request waits for an engine that accepts no connections, as in a restart; then it gets 503."""
    response_seconds: Seconds = 600
    """Time to the engine's first byte, and between two: enough for a cold load, and it ends a dead engine."""


class Drain(Model):
    """Phases of a pod's shutdown: serve on until clients have moved, refuse, wait for requests in flight."""

    serve_seconds: Seconds = 5
    grace_seconds: Seconds = 60
    """terminationGracePeriodSeconds of the pod; drain returns at least 5 s before it ends."""


class Auth(Model):
    """Permission to change which models are loaded or stored. Reading needs none."""

    mutations: Mutations = "token"
    """`token`: only clients with the token; `open`: every client of the gateway."""
    token_file: str | None = None
    """File with the token. Without it no client is permitted."""


class GatewayConfig(Model):
    """The whole file."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    listen: Address = f"[::]:{CLIENTS}"
    """Address for clients. `[::]` stands for all addresses of both families, or of IPv4 if there is no IPv6."""
    admin: Address = f"[::]:{ADMIN}"
    place: Role = "alone"
    """Position of the gateway: in front of its pod's engine, of other pods' engines, or in a pod behind a front."""
    engines: list[Engine] = Field(min_length=1)
    models: list[ServedModel] = Field(min_length=1)
    pulls: Pulls | None = None
    """Settings of pulls. Without them the gateway serves only the models of this file."""
    routing: Routing = Routing()
    """Rules that choose the model of a request that names none, or `auto`."""
    residency: Residency | None = None
    """Rules that keep models loaded. Without them the engine loads and unloads as it sees fit."""
    auth: Auth = Auth()
    cors: Cors = Cors()
    """Web pages whose requests are answered."""
    limits: Limits = Limits()
    drain: Drain = Drain()

    def fixed(self) -> dict[str, Any]:
        """Return the settings that a running gateway keeps: all but names, rules, origins and residency times."""
        settings = self.model_dump(mode="json", by_alias=True, exclude={"routing", "models", "residency", "cors"})
        served = sorted([model.id, model.engine_name] for model in self.models)
        return {**settings, "models": served, "residency": self.residency is not None}

    def engine_of(self) -> dict[str, Engine]:
        """Return the engine that answers for each model, by the model's id."""
        return {model: engine for engine in self.engines for model in self._models_of(engine)}

    def _models_of(self, engine: Engine) -> list[str]:
        return [m.id for m in self.models] if engine.models is None else engine.models

    @model_validator(mode="after")
    def _pulled_files_are_noticed(self) -> "GatewayConfig":
        if self.pulls is None:
            return self
        if others := [engine.kind for engine in self.engines if not ENGINES[engine.kind].notices_files]:
            noticing = " or ".join(engines_with("notices_files"))
            msg = f"pulls need engine {noticing}: {others[0]} does not notice new files while it runs"
            raise ValueError(msg)
        if self.auth.mutations == "token" and self.auth.token_file is None:
            msg = "pulls need auth.token-file where auth.mutations is 'token'"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _not_everybody_changes_what_is_loaded(self) -> "GatewayConfig":
        if problem := open_to_all(self.cors, self.auth.mutations):
            msg = f"cors.origins: {problem}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _names_are_unambiguous(self) -> "GatewayConfig":
        seen: dict[str, str] = {}
        ids = [m.id for m in self.models]
        if twice := sorted({i for i in ids if ids.count(i) > 1}):
            msg = f"model {twice[0]!r} is listed twice"
            raise ValueError(msg)
        for model in self.models:
            for name in model.names():
                if name.casefold() == "auto":
                    msg = "'auto' cannot be the name of a model: it asks for the default"
                    raise ValueError(msg)
                if (other := seen.setdefault(canonical(name), model.id)) != model.id:
                    msg = f"name {name!r} stands for both {other!r} and {model.id!r}"
                    raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _routing_leads_to_models(self) -> "GatewayConfig":
        ids, default = [m.id for m in self.models], self.routing.default
        if default is not None and default not in ids:
            msg = f"routing.default {default!r} is not among the models: {', '.join(ids)}"
            raise ValueError(msg)
        known = {canonical(name) for model in self.models for name in model.names()}
        for name, rule in zip(self.routing.names(), self.routing.rules, strict=True):
            if canonical(rule.model) not in known:
                msg = f"routing: {name} leads to {rule.model!r}, which is not among the models: {', '.join(ids)}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _residency_is_of_models_that_can_be_moved(self) -> "GatewayConfig":
        if self.residency is None:
            return self
        if others := [engine.kind for engine in self.engines if not ENGINES[engine.kind].loads_on_demand]:
            moving = " and ".join(engines_with("loads_on_demand"))
            msg = f"residency: {others[0]} loads nothing on demand; {moving} do"
            raise ValueError(msg)
        if self.place == "front":
            msg = "residency: a front loads no models. Fix: set it on the gateways behind the front"
            raise ValueError(msg)
        if problem := self.residency.problem([m.id for m in self.models], more=self.pulls is not None):
            msg = "residency.{}: {}".format(*problem)
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _every_model_has_one_engine(self) -> "GatewayConfig":
        if len(names := {engine.name for engine in self.engines}) < len(self.engines):
            msg = f"two engines have one name: {', '.join(sorted(names))}"
            raise ValueError(msg)
        if self.place != "front" and len(self.engines) > 1:
            msg = f"{len(self.engines)} engines: only a gateway whose place is 'front' serves more than one"
            raise ValueError(msg)
        answered = [model for engine in self.engines for model in self._models_of(engine)]
        ids = {m.id for m in self.models}
        for model in sorted(ids | set(answered)):
            if (count := answered.count(model)) != 1 or model not in ids:
                what = f"has {count} engines, not one" if model in ids else "is named by an engine, but not configured"
                msg = f"model {model!r} {what}"
                raise ValueError(msg)
        return self

"""gateway.json: the engines, the models they may answer for, and the limits of the proxy in front of them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from .base import Model
from .cors import Cors, open_to_all
from .engines import ENGINES, EngineKind, those_that
from .layout import ADMIN, CLIENTS
from .residency import Residency
from .routing import Routing
from .url import UrlError, authority
from .weights import Endpoint, ModelId, canonical, is_cloud


def reachable(place: str) -> str:
    """A URL or `host:port` in which every parser finds the same host. Raises ValueError."""
    try:
        # Port 0 is any that is free, to whoever listens.
        authority(place if "//" in place else f"tcp://{place.removesuffix(':0')}")
    except UrlError:
        msg = f"no host and port that can be used: {place!r}"
        raise ValueError(msg) from None
    return place


Address = Annotated[str, Field(pattern=r"^[0-9A-Za-z.\-\[\]:]+:\d{1,5}$"), AfterValidator(reachable)]
"""`host:port`."""
Seconds = Annotated[float, Field(ge=0, le=86_400)]


Mutations = Literal["token", "open"]
Place = Literal["alone", "front", "behind"]
DRAIN = ("x-larder-drain", "1")
"""The header of `GET /drain` that the pods' preStop hooks send. A web page cannot: a browser asks us first."""


class Engine(Model):
    """What answers: a process that holds weights, or (`gateway`) another gateway before one."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] = "engine"
    kind: EngineKind
    url: Annotated[str, Field(pattern=r"^http://[^\s/?#@]+$"), AfterValidator(reachable)]
    models: list[ModelId] | None = None
    """The models it answers for; a single engine answers for all and need not say so."""
    replicated: bool = False
    """Whether the host of `url` is a name for several gateways, each before an engine of its own."""

    @model_validator(mode="after")
    def _gateways_know_what_they_hold(self) -> "Engine":
        if self.replicated and self.kind != "gateway":
            msg = f"{self.kind} cannot be replicated: which replica has a model loaded is known of gateways alone"
            raise ValueError(msg)
        return self


class ServedModel(Model):
    """A catalog model and how the engine calls it."""

    id: ModelId
    engine_name: str = Field(min_length=1)
    aliases: list[str] = Field(default=[])

    def names(self) -> list[str]:
        """Everything that a client may call it."""
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
    """Where the engine looks for them; a file appears there when it is whole and verified."""
    endpoint: Endpoint
    hub_token_file: str | None = None
    """The hub's token, for repositories that are not public."""


class Limits(Model):
    """What a client may cost us. Times in seconds, sizes in bytes."""

    connections: int = Field(default=1024, gt=0)
    header_seconds: Seconds = 10
    """From the first byte of a connection or request until its header is complete."""
    body_seconds: Seconds = 60
    idle_seconds: Seconds = 75
    """A kept-alive connection without a request; above the 60 s of common load balancers so that they close first."""
    body_bytes: int = Field(default=32 * 2**20, gt=0)
    """Vision requests carry images inline; Ollama itself takes 20 MiB of them."""
    buffered_bytes: int = Field(default=256 * 2**20, gt=0)
    """Request bodies held at one time over all connections; more are answered 503."""
    connect_seconds: Seconds = 5
    hold_seconds: Seconds = 0
    """A request waits so long for an engine that takes no connections, as while it restarts; then it is 503."""
    response_seconds: Seconds = 600
    """Until the engine's first byte, and between two: a cold load of large weights fits, a dead engine is noticed."""


class Drain(Model):
    """How the pod goes: serve on until clients have moved, then refuse, then wait for what is in flight."""

    serve_seconds: Seconds = 5
    grace_seconds: Seconds = 60
    """terminationGracePeriodSeconds of the pod; drain returns 5 s before it at the latest."""


class Auth(Model):
    """Who may send requests that change what is loaded or kept. What is only asked needs nothing."""

    mutations: Mutations = "token"
    """`token`: who shows it; `open`: whoever reaches the gateway."""
    token_file: str | None = None
    """Where the token is; without it nobody can show it."""


class GatewayConfig(Model):
    """The whole file."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    listen: Address = f"[::]:{CLIENTS}"
    """`[::]` stands for every address of both families, or of IPv4 where the kernel has no IPv6."""
    admin: Address = f"[::]:{ADMIN}"
    place: Place = "alone"
    """Before the engine of its own pod; before the engines of other pods; or in a pod that only a front may reach."""
    engines: list[Engine] = Field(min_length=1)
    models: list[ServedModel] = Field(min_length=1)
    pulls: Pulls | None = None
    """Without it the models are those of this file and no others."""
    routing: Routing = Routing()
    """Which model answers a request that names none, or `auto`."""
    residency: Residency | None = None
    """Which models stay loaded; without it the engine loads and unloads as it sees fit."""
    auth: Auth = Auth()
    cors: Cors = Cors()
    """Which web pages may ask."""
    limits: Limits = Limits()
    drain: Drain = Drain()

    def fixed(self) -> dict[str, Any]:
        """The settings that a running gateway keeps: all but names, rules, origins, and how long models stay loaded."""
        told = self.model_dump(mode="json", by_alias=True, exclude={"routing", "models", "residency", "cors"})
        served = sorted([model.id, model.engine_name] for model in self.models)
        return {**told, "models": served, "residency": self.residency is not None}

    def engine_of(self) -> dict[str, Engine]:
        """The engine that answers for each model, by the model's id."""
        return {model: engine for engine in self.engines for model in self._models_of(engine)}

    def _models_of(self, engine: Engine) -> list[str]:
        return [m.id for m in self.models] if engine.models is None else engine.models

    @model_validator(mode="after")
    def _pulled_files_are_noticed(self) -> "GatewayConfig":
        if self.pulls is None:
            return self
        if others := [engine.kind for engine in self.engines if not ENGINES[engine.kind].notices_files]:
            noticing = " or ".join(those_that("notices_files"))
            msg = f"pulls need engine {noticing}: {others[0]} does not notice files that come while it runs"
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
                msg = f"routing: {name} leads to {rule.model!r}, which is none of the models: {', '.join(ids)}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _residency_is_of_models_that_can_be_moved(self) -> "GatewayConfig":
        if self.residency is None:
            return self
        if others := [engine.kind for engine in self.engines if not ENGINES[engine.kind].loads_on_demand]:
            moving = " and ".join(those_that("loads_on_demand"))
            msg = f"residency: {others[0]} loads nothing on demand; {moving} do"
            raise ValueError(msg)
        if self.place == "front":
            msg = "residency: a front moves no models; the gateways beside the engines do"
            raise ValueError(msg)
        if problem := self.residency.problem([m.id for m in self.models], more=self.pulls is not None):
            msg = f"residency.{problem}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _every_model_has_one_engine(self) -> "GatewayConfig":
        if len(names := {engine.name for engine in self.engines}) < len(self.engines):
            msg = f"two engines have one name: {', '.join(sorted(names))}"
            raise ValueError(msg)
        if self.place != "front" and len(self.engines) > 1:
            msg = f"{len(self.engines)} engines: only a gateway whose place is 'front' stands before more than one"
            raise ValueError(msg)
        answered = [model for engine in self.engines for model in self._models_of(engine)]
        ids = {m.id for m in self.models}
        for model in sorted(ids | set(answered)):
            if (count := answered.count(model)) != 1 or model not in ids:
                what = (
                    f"has {count} engines, not one" if model in ids else "is named by an engine and is none of models"
                )
                msg = f"model {model!r} {what}"
                raise ValueError(msg)
        return self

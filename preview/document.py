"""The file of a plan: `make plan JSON=FILE` writes it, and the pull-request comment compares two."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

from larder_sidecar.config.base import Model
from larder_sidecar.config.routing import Rule
from pydantic import Field, ValidationError

from components.plan.admission import admission
from components.plan.plan import Plan
from components.plan.support import Verdict
from components.settings import Problem, Settings, SettingsError

from . import properties
from .objects import kind, phase
from .recorder import Recording, Registered
from .tree import purpose


class Planned(Model):
    """A resource to make: an object of a cluster or of a cloud."""

    urn: str
    kind: str
    name: str
    purpose: str
    phase: int
    """Its number in the order of making."""
    protect: bool = False
    retain_on_delete: bool = False
    delete_before_replace: bool = False
    ignored: list[str] = Field(default=[])
    """Property paths whose changes Pulumi ignores (ignore_changes)."""
    aliases: list[str] = Field(default=[])
    """Its former names under the same parent."""
    depends_on: list[str] = Field(default=[])
    """URNs of the resources that are made before it."""
    timeouts: dict[str, str] = Field(default={})
    """Time that `up` waits for it, by the operation."""
    inputs: dict[str, Any]
    """Inputs in which a word replaces each secret and unknown value."""

    def formerly(self) -> list[str]:
        """Return the URNs under which a state may know it, the present one first."""
        around = self.urn.rpartition("::")[0]
        return [self.urn, *(f"{around}::{name}" for name in self.aliases)]


class Finding(Model):
    """One finding of a policy."""

    rule: str
    level: str
    where: str
    text: str

    @property
    def line(self) -> str:
        """Return the finding as one line."""
        return f"{self.level}: {self.rule}: {self.where}: {self.text}"


class PlanDocument(Model):
    """One plan of one stack, or the reasons of its refusal."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    stack: str
    users: dict[str, str] = Field(default={})
    """Facts that users of the platform notice, by name."""
    resources: list[Planned] = Field(default=[])
    components: list[str] = Field(default=[])
    """URNs of components, which only group resources."""
    outputs: dict[str, Any] = Field(default={})
    """Exports of the stack."""
    findings: list[Finding] = Field(default=[])
    support: list[Verdict] = Field(default=[])
    """Verdict for every strategy and stack, if requested (--why)."""
    problems: list[str] = Field(default=[])
    """Reasons why the settings were refused; every other field is empty then."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that `make plan` wrote. Raises SettingsError."""
        try:
            return cls.from_json(path.read_bytes())
        except OSError as error:
            raise SettingsError(
                [Problem(str(path), f"cannot read it: {error.strerror}. Fix: write it with make plan JSON=…")]
            ) from error
        except ValidationError as error:
            what = error.errors()[0]["msg"]
            raise SettingsError(
                [Problem(str(path), f"is not a plan of this version: {what}. Fix: write it with make plan JSON=…")]
            ) from error


def document(
    stack: str, settings: Settings, plan: Plan, recording: Recording, found: Iterable[Finding]
) -> PlanDocument:
    """Return the plan as a document."""
    return PlanDocument(
        stack=stack,
        users=_users(settings, plan),
        resources=[
            Planned(
                urn=resource.urn,
                kind=kind(resource),
                name=_name(resource),
                purpose=purpose(resource),
                phase=phase(resource),
                protect=resource.protect,
                retain_on_delete=resource.retain_on_delete,
                delete_before_replace=resource.delete_before_replace,
                ignored=sorted(resource.ignored),
                aliases=sorted(resource.aliases),
                depends_on=sorted(resource.dependencies),
                timeouts={operation: time for operation, time in resource.timeouts.items() if time},
                inputs=properties.redact(dict(resource.inputs)),
            )
            for resource in recording.resources
            if resource.custom
        ],
        components=sorted(resource.urn for resource in recording.resources if not resource.custom),
        outputs=properties.redact(recording.outputs),
        findings=list(found),
    )


def _name(resource: Registered) -> str:
    metadata = resource.inputs.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else resource.name


def _rule_text(rule: Rule) -> str:
    conditions = rule.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"name", "model"})
    return f"{', '.join(f'{word} {value}' for word, value in conditions.items())} -> {rule.model}"


def _users(settings: Settings, plan: Plan) -> dict[str, str]:
    port = "" if settings.node_port is None else f", port {settings.node_port} of every node"
    routing = settings.gateway.routing
    facts = {
        "strategy": settings.cache.strategy,
        "models": ", ".join(entry.id for entry in settings.served),
        "default model": settings.default_model,
        "aliases": ", ".join(f"{alias} -> {model}" for alias, model in sorted(routing.aliases.items())),
        "rules": "; ".join(map(_rule_text, routing.rules)),
        "entry": f"http://larder.{settings.cluster.namespace}.svc{port}",
        "mutations": settings.gateway.auth.mutations,
    }
    for word, text in admission(settings, plan):  # more than one of a word where several stacks ask for it
        facts[word] = f"{facts[word]}; {text}" if word in facts else text
    return {name: text for name, text in facts.items() if text}

"""The text that `make plan` prints."""

from collections.abc import Iterable, Mapping, Sequence

import yaml

from components.plan.admission import admission, warnings
from components.plan.plan import Plan
from components.settings import Settings
from components.settings.images import UNKNOWN

from . import findings as policies
from .document import Finding
from .objects import is_manifest
from .placeholders import later
from .recorder import Recording
from .tree import tree


def report(
    stack: str,
    settings: Settings,
    plan: Plan,
    recording: Recording,
    found: Sequence[Finding],
    notes: Iterable[str],
    more: Mapping[str, Iterable[str]],
) -> str:
    """Return the whole text: settings in force, resources with their purposes, policies, admission, warnings.

    `more` are the sections that were asked for, by their titles.
    """
    objects = sum(map(is_manifest, recording.resources))
    # A note already reports each placeholder for a digest.
    logged = [text for _, text in recording.messages if UNKNOWN not in text]
    noted = [*notes, *(f"{image}." for image in later(settings)), *warnings(settings, plan), *logged]
    parts = [
        f"larder, stack {stack}: {', '.join(settings.models)}, cache strategy {settings.cache.strategy}",
        _section("Settings in force", _settings(settings)),
        _section(f"Resources ({objects} objects)", tree(recording)),
        *([_section("Needs of the cluster", _needs(recording))] if recording.needs else []),
        _section("Policies", policies.section(found)),
        _section("Admission", (f"{asked.subject:<8}{asked.text}" for asked in admission(settings, plan))),
        *(_section(title, lines) for title, lines in more.items()),
        _section("Outputs", (f"{name}: {value}" for name, value in sorted(recording.outputs.items()))),
    ]
    if noted:
        parts.append(_section("Warnings", noted))
    return "\n\n".join(parts) + "\n"


def _needs(recording: Recording) -> list[str]:
    needed = [f"{name}   (has {identity})" for name, identity in sorted(recording.needs.items())]
    return [*needed, "Not checked here: `pulumi preview` reads each, and fails with the name of a missing one."]


def _settings(settings: Settings) -> list[str]:
    blocks = settings.model_dump(mode="json", by_alias=True, exclude_none=True)
    # A warning reports the unnamed images.
    named = {name: image for name, image in blocks.pop("images").items() if image and UNKNOWN not in image}
    if named:
        blocks["images"] = named
    text = yaml.safe_dump(
        {f"larder:{key}": value for key, value in blocks.items()}, sort_keys=False, default_flow_style=None, width=200
    )
    return text.splitlines()


def _section(title: str, lines: Iterable[str]) -> str:
    return "\n".join([title, *(f"  {line}".rstrip() for line in lines)])

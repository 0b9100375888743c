"""The floors of the program, and the imports between its modules as the code has them."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from components import ROOT
from tests.source_code import nodes

FLOORS: tuple[tuple[str, ...], ...] = (
    ("components", "manifests", "dev.paths", "dev.processes", "dev.progress"),
    (
        "larder_sidecar",
        "larder_sidecar.config",
        "larder_sidecar.bearer",
        "larder_sidecar.durations",
        "larder_sidecar.ui",
    ),
    ("larder_sidecar.catalog", "larder_sidecar.engines", "larder_sidecar.http", "larder_sidecar.routing"),
    ("larder_sidecar.log", "larder_sidecar.residency", "larder_sidecar.weights"),
    ("larder_sidecar.role", "larder_sidecar.weights.client", "larder_sidecar.weights.store"),
    ("larder_sidecar.weights.sources",),
    ("larder_sidecar.weights.download",),
    ("larder_sidecar.weights.publish", "larder_sidecar.gateway", "larder_sidecar.manager"),
    ("larder_sidecar.cli",),
    ("larder_sidecar.__main__",),
    ("components.names", "components.component", "components.manifest", "policies"),
    ("components.network", "components.settings"),
    ("components.pin_images", "components.node_pools", "components.plan.sizing"),
    ("components.jobs", "components.plan.plan"),
    ("components.storage",),
    ("components.caching", "components.model_manager"),
    ("components.serving", "components.plan"),
    ("components.platform",),
    ("__main__", "preview"),
    ("dev.command_line", "dev.locks", "dev.packages"),
    ("dev.python", "dev.toolchain"),
    ("dev.images", "dev.preflight", "dev.stack_file"),
    ("testbed",),
    ("dev",),
    ("bench",),
)
"""Modules and packages, the lowest floor first. A module imports from its own room and from lower floors.

A name covers what is below it, unless that has a place of its own. `components` and `larder_sidecar` are their __init__
alone.
"""
_PROGRAM = ("components", "manifests", "policies", "preview", "bench", "dev", "testbed")
SOURCES = ("__main__.py", *_PROGRAM, "sidecar/larder_sidecar")
"""The code whose imports are held to the floors."""
_ALONE = ("components", "larder_sidecar")
_OURS = (*_PROGRAM, "larder_sidecar")


def room(module: str) -> str | None:
    """Return the longest name of the table that the module belongs to, or None."""
    names = [name for floor in FLOORS for name in floor]
    found = [name for name in names if module == name or (name not in _ALONE and module.startswith(f"{name}."))]
    return max(found, key=len, default=None)


def floor(name: str) -> int:
    """Return the number of the floor on which a name of the table stands."""
    return next(number for number, names in enumerate(FLOORS) if name in names)


def modules() -> Iterator[tuple[str, Path]]:
    """Yield each module of the program with its file."""
    for source in SOURCES:
        path = ROOT / source
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            parts = file.relative_to(ROOT / "sidecar" if source.startswith("sidecar/") else ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


@functools.cache
def imports(module: str, file: Path) -> tuple[str, ...]:
    """Return what a module imports, wherever in it; of our own the modules, of others the names as written."""
    return tuple(_imports(module, file))


def _imports(module: str, file: Path) -> Iterator[str]:
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in nodes(file):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (_whole(origin, name.name) for name in node.names)


def is_ours(module: str) -> bool:
    """Tell whether a name is of a package in this repository."""
    return module.split(".")[0] in _OURS


def _whole(origin: str, name: str) -> str:
    root = ROOT / "sidecar" if origin.startswith("larder_sidecar") else ROOT
    path = root.joinpath(*origin.split("."), name)
    return f"{origin}.{name}" if path.is_dir() or path.with_suffix(".py").is_file() else origin


def graph() -> str:
    """Draw the floors from the top, each with the rooms on it and what they import."""
    found: dict[str, set[str]] = {}
    for module, file in modules():
        mine = room(module) or ""
        theirs = {room(name) or "" for name in imports(module, file) if is_ours(name)}
        found.setdefault(mine, set()).update(theirs - {mine, *_ALONE})
    lines = []
    for names in reversed(FLOORS):
        for name in names:
            below = ", ".join(sorted(_short(other) for other in found[name]))
            lines.append(f"{_short(name)}: {below}".rstrip(": "))
        lines.append("")
    return "\n".join(lines).strip() + "\n"


def _short(name: str) -> str:
    return name.replace("larder_sidecar", "sidecar").replace("components.", "")

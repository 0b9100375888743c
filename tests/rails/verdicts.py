"""Verdicts of two commits on the same stack files: accepted or refused, and the paths in the errors."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.rails.corpus import STACK
from tests.rails.differences import Difference, differences
from tests.rails.plans import path_of
from tests.rails.trees import Tree

Verdict = Mapping[str, Any]


def write(folder: Path, configs: Iterable[Mapping[str, Any]]) -> list[Path]:
    """Write each config as a stack file into a folder of its own; return the folders."""
    folders = []
    for number, config in enumerate(configs):
        folders.append(own := folder / f"{number:05d}")
        own.mkdir(parents=True, exist_ok=True)
        (own / f"Pulumi.{STACK}.yaml").write_text(json.dumps({"config": config}, indent=1))
    return folders


def record(tree: Tree, folders: Iterable[Path]) -> dict[str, Verdict]:
    """Return the verdict on each file, by its path. Raises RailError."""
    files = [str(folder / f"Pulumi.{STACK}.yaml") for folder in folders]
    calls = [["check", "--stack", STACK, "--folder", str(Path(file).parent)] for file in files]
    return {
        file: {"status": answer["status"], "paths": sorted({path_of(line) for line in answer["errors"].splitlines()})}
        for file, answer in zip(files, tree.commands(calls), strict=True)
    }


def compare(before: Mapping[str, Verdict], after: Mapping[str, Verdict]) -> Iterator[Difference]:
    """Yield the files of which two commits say different things."""
    yield from differences(before, after)


def counts(verdicts: Mapping[str, Verdict]) -> str:
    """Return how many files are accepted and refused, and in how many places."""
    accepted = sum(verdict["status"] == 0 for verdict in verdicts.values())
    paths = {path for verdict in verdicts.values() for path in verdict["paths"]}
    return f"{accepted} files accepted, {len(verdicts) - accepted} refused at {len(paths)} paths"

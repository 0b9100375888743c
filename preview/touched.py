"""Stacks that a change of files touches, so that a pull request previews only those."""

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

STACK_FILE = re.compile(r"Pulumi\.([A-Za-z0-9._-]+)\.yaml")
_MODEL = re.compile(r"catalog/models/([^/]+)\.yaml")
_READ_BY_THE_PROGRAM = ("sidecar/larder_sidecar/config/", "sidecar/larder_sidecar/catalog/")
_HARMLESS = (
    ".ci/",
    ".github/",
    "bench/",
    "dev/",
    "docs/",
    "sidecar/",
    "testbed/",
    "tests/",
    "Makefile",
    "LICENSE",
    ".gitignore",
)
"""Paths that no preview can show. The sidecar's code comes as an image, by a digest in a stack file."""


def find_touched_stacks(paths: Iterable[str], stacks: Mapping[str, Collection[str] | None]) -> list[str]:
    """Return the stacks that these paths touch, sorted; a stack whose file is gone is among them.

    `paths` as git names them, `stacks` with the models that each serves; None where that cannot be read. A path that
    nothing is known of touches all: a preview too many costs seconds, one too few hides a change.
    """
    found: set[str] = set()
    for path in paths:
        if stack := STACK_FILE.fullmatch(path):
            found.add(stack[1])
        elif model := _MODEL.fullmatch(path):
            found |= {name for name, models in stacks.items() if models is None or model[1] in models}
        elif path.startswith(_READ_BY_THE_PROGRAM) or not _is_harmless(path):
            found |= stacks.keys()
    return sorted(found)


def _is_harmless(path: str) -> bool:
    return path.startswith(_HARMLESS) or PurePosixPath(path).suffix == ".md"

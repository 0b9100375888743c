"""The file of stack dev, read by the program's own settings in this checkout's environment."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import python
from .paths import ROOT, STACKS, VENV
from .progress import CommandError


@dataclass(frozen=True)
class StackFile:
    """Facts of a stack for the machine that deploys it."""

    engines: tuple[str, ...]
    """Engines of its stacks, by their keys in larder:images."""
    models: tuple[str, ...]
    """The models that are served."""


def read(*facts: str) -> StackFile:
    """Read a stack file. Raise CommandError for an invalid one, before anything is built for it.

    `facts` of the cluster, and of what is served on it, as options of `python -m preview check`.
    """
    python.ensure()
    command: list[str | Path] = [VENV / "bin" / "python", "-m", "preview", "check", "--json", "--folder", STACKS]
    asked = subprocess.run([*command, *facts], cwd=ROOT, capture_output=True, text=True, check=False)
    if asked.returncode:
        msg = f"Pulumi.dev.yaml cannot be deployed:\n{asked.stderr.strip()}"
        raise CommandError(msg)
    found = json.loads(asked.stdout)
    return StackFile(tuple(found["engines"]), tuple(found["models"]))

"""The two sides of a comparison: a checkout of the commit before, and this one as it stands."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".larder" / "rails"
"""Checkouts of other commits, and what the rails write."""
_COMMANDS = Path(__file__).with_name("commands.py")
_LOCKS = {"venv": "requirements.lock", "clouds": "requirements.clouds.lock"}
"""Folders below .larder that two commits may share, and the file that must be equal for that."""


class RailError(Exception):
    """A comparison that is impossible, with the reason."""


@dataclass(frozen=True)
class Tree:
    """A checkout, and the interpreter that has its packages."""

    root: Path
    python: Path

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a process that runs this checkout's code and no other."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {"PYTHONPATH": f"{self.root}:{self.root}/sidecar"} | dict(more or {})

    def run(self, script: Path, *arguments: str, given: str = "") -> str:
        """Run a script of ours with this checkout's modules; return what it prints. Raises RailError."""
        # -P: the folder of the script, which is of another checkout, stays off the path.
        command = [str(self.python), "-P", str(script), *arguments]
        done = subprocess.run(
            command, input=given, cwd=self.root, env=self.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            msg = f"{script.name} failed in {self.root}:\n{done.stderr.strip()[-2000:]}"
            raise RailError(msg)
        return done.stdout

    def commands(self, calls: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """Run command lines of the planning module in one process: status and stderr of each. Raises RailError."""
        told = self.run(_COMMANDS, self.planning_module(), given=json.dumps([list(call) for call in calls]))
        return [dict(answer) for answer in json.loads(told)]

    def planning_module(self) -> str:
        """Return the module behind `make plan`, which stays where code moves. Raises RailError."""
        found = re.search(r"-m (\S+) plan\b", (self.root / "Makefile").read_text())
        if found is None:
            msg = f"{self.root}/Makefile: no recipe runs `python -m <module> plan`"
            raise RailError(msg)
        return found[1]


def here() -> Tree:
    """Return this checkout, changes that are not committed included."""
    return Tree(ROOT, Path(sys.executable))


def checkout(commit: str) -> Tree:
    """Return a checkout of another commit, made if it is not there. Raises RailError."""
    try:
        whole = _git("rev-parse", "--verify", f"{commit}^{{commit}}").decode().strip()
    except subprocess.CalledProcessError as error:
        msg = f"BEFORE={commit}: {error.stderr.decode().strip()}"
        raise RailError(msg) from error
    folder = HOME / whole[:12]
    if not folder.exists():
        half = folder.with_name(f"{folder.name}.half")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        subprocess.run(["tar", "-x", "-C", half], input=_git("archive", whole), check=True)
        half.rename(folder)
    _share_packages(folder)
    return Tree(folder, folder / ".larder" / "venv" / "bin" / "python")


def _share_packages(folder: Path) -> None:
    """Lend the checkout our packages; where it has locked others, let its own command install them."""
    own, ours = folder / ".larder", ROOT / ".larder"
    own.mkdir(exist_ok=True)
    for name, lock in _LOCKS.items():
        if (own / name).is_symlink():  # its own command would install into ours
            (own / name).unlink()
        if not (own / name).exists() and (folder / lock).read_bytes() == (ROOT / lock).read_bytes():
            shutil.copytree(ours / name, own / name, symlinks=True, copy_function=_lend)
    if not all((own / name).exists() for name in _LOCKS):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("LARDER_", "MAKE", "MFLAGS"))}
        subprocess.run(["make", "-C", folder, "clouds"], env=env, check=True)


def _lend(file: str, to: str) -> None:
    """Link a file of a package. What names a checkout by the folder where it lies is copied, for it is written anew."""
    (shutil.copy2 if file.endswith(".pth") else os.link)(file, to)


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout

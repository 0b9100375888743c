"""Build one tool from its pins into `<cache>/<name>-<hash of the pins>/`, atomically."""

import ast
import hashlib
import inspect
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..locks import alone
from ..paths import CACHE
from ..progress import CommandError, run, step


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool to build: `pins` are the files that determine its content, and `build(target, log)` fills the folder."""

    name: str
    title: str
    expected: float
    """Build time in seconds, with cold caches on two cores."""
    pins: tuple[Path, ...]
    build: Callable[[Path, Path], None]
    needs: tuple["Tool", ...] = ()

    @property
    def home(self) -> Path:
        """Return the folder in the cache; its name changes with the pins and the recipe."""
        # The recipe without its comments and layout.
        digest = hashlib.sha256(ast.unparse(ast.parse(inspect.getsource(self.build))).encode())
        for part in (*(path.read_bytes() for path in self.pins), *(tool.home.name.encode() for tool in self.needs)):
            digest.update(part)
        return CACHE / f"{self.name}-{digest.hexdigest()[:12]}"

    def ensure(self) -> Path:
        """Return `home`, and build it first if it is missing. Safe beside other checkouts that build the same."""
        home = self.home
        if home.exists():
            return home
        for tool in self.needs:
            tool.ensure()
        with alone(CACHE / f"{self.name}.lock", f"another checkout is building {self.name}"):
            if home.exists():
                return home
            partial = home.with_name(home.name + ".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            with step(self.title, self.expected):
                self.build(partial, CACHE / "log" / f"{self.name}.log")
            partial.rename(home)
        return home


@dataclass(frozen=True)
class GoModules:
    """A folder of go.mod and go.sum files, which pin modules by version and hash."""

    folder: Path

    def pins(self, module: str) -> tuple[Path, ...]:
        """Return the files that determine the build of a module."""
        return tuple(
            sorted(path for path in (self.folder / module).iterdir() if path.suffix in (".mod", ".sum", ".go"))
        )

    def version(self, module: str, path: str) -> str:
        """Return the version of `path` in a module's go.mod, with its leading v."""
        text = (self.folder / module / "go.mod").read_text()
        found = re.search(rf"{re.escape(path)} (v\S+)", text)
        assert found, f"{path} is not required by {module}/go.mod"
        return found[1]

    def build(
        self,
        module: str | Path,
        packages: list[str],
        out: Path,
        log: Path,
        *,
        flags: tuple[str, ...] = (),
        cgo: bool = False,
    ) -> None:
        """Build packages of a module of this folder, or of one at another path, verified against its go.sum."""
        env = _go_environment(cgo=cgo)
        out.mkdir(parents=True, exist_ok=True)
        run(
            ["go", "build", "-trimpath", *flags, "-o", f"{out}/", *packages], log=log, cwd=self.folder / module, env=env
        )


def go_source(pin: Path, log: Path) -> Path:
    """Download a whole module and return its folder; `pin` has path, version and hash. Raise CommandError."""
    path, version, checksum = pin.read_text().split()
    output = run(
        ["go", "mod", "download", "-json", f"{path}@{version}"],
        log=log,
        cwd=pin.parent,
        env=_go_environment(),
        capture=True,
    )
    found = json.loads(output)
    if found["Sum"] != checksum:
        msg = f"{path}@{version} does not match its pin: its hash is {found['Sum']}, and {pin.name} has {checksum}"
        raise CommandError(msg)
    return Path(found["Dir"])


def _go_environment(*, cgo: bool = False) -> dict[str, str]:
    return os.environ | {
        "CGO_ENABLED": "1" if cgo else "0",
        # Go's default is outside the cache folder; -modcacherw lets `make clean-cache` remove it.
        "GOMODCACHE": str(CACHE / "go-mod"),
        "GOCACHE": str(CACHE / "go-build"),
        "GOFLAGS": "-modcacherw",
    }

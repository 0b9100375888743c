"""A Pulumi stack in a folder: what it declares, and the CLI's commands on it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

OFFICIAL = os.environ.get("PLUGIN_TEST")
"""The official plugin's program, to run the same tests with; set it where the plugin is available."""

STAND_IN_ONLY = pytest.mark.skipif(
    bool(OFFICIAL), reason="the official plugin does otherwise here, and no user meets the stand-in"
)
IN_PLACE = {"enable_config_map_mutable": True, "enable_secret_mutable": True}
"""Settings of the provider that the program always has."""
CLUSTER_SCOPED = ("LocalModelCache", "LocalModelNodeGroup", "Namespace", "Node", "PersistentVolume", "StorageClass")
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).parent / "program"


@dataclass(frozen=True)
class Outcome:
    """The result of a command."""

    code: int
    text: str


@dataclass(frozen=True)
class Stack:
    """One stack with its own state, plugins and program, separate from the user's Pulumi."""

    folder: Path
    cli: Path
    environment: dict[str, str]
    namespace: str

    @classmethod
    def made(cls, folder: Path, cli: Path, kubeconfig: Path, namespace: str) -> "Stack":
        """Make a stack; the stand-ins are the only plugins it can find, unless PLUGIN_TEST names the official one."""
        shutil.copytree(PROGRAM, folder / "program")
        (folder / "state").mkdir()
        version = metadata.version("pulumi_kubernetes")
        plugin = folder / "home" / "plugins" / f"resource-kubernetes-v{version}" / "pulumi-resource-kubernetes"
        if OFFICIAL:
            plugin.parent.mkdir(parents=True)
            plugin.symlink_to(OFFICIAL)
        else:
            _script(plugin, "kubernetes")
        _script(folder / "bin" / "pulumi-language-python", "language_host")
        (folder / "bin" / "pulumi").symlink_to(cli)
        environment = {
            "HOME": str(folder),
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "KUBECONFIG": str(kubeconfig),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "of a test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        stack = cls(folder, folder / "bin" / "pulumi", environment, namespace)
        stack.done("stack", "init", "test")
        return stack

    def declare(self, *objects: dict[str, Any]) -> None:
        """Replace what the program declares, in this stack's namespace if it names none; see `declared`."""
        for one in objects:
            if one["manifest"]["kind"] not in CLUSTER_SCOPED:
                one["manifest"]["metadata"].setdefault("namespace", self.namespace)
        document = {"provider": IN_PLACE, "objects": objects}
        (self.folder / "program" / "objects.json").write_text(json.dumps(document))

    def run(self, *command: str) -> Outcome:
        """Run the CLI and return how it ended."""
        done = subprocess.run(
            [self.cli, *command, "--non-interactive", "--color=never"],
            cwd=self.folder / "program",
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        return Outcome(done.returncode, done.stdout)

    @contextmanager
    def started(self, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run the CLI beside the test; it is killed if it outlives the block."""
        arguments: list[str | Path] = [self.cli, *command, "--non-interactive"]
        with subprocess.Popen(
            arguments, cwd=self.folder / "program", env=self.environment, stdout=subprocess.DEVNULL
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def done(self, *command: str) -> str:
        """Run the CLI; its text. Fails the test when the command fails."""
        outcome = self.run(*command)
        assert outcome.code == 0, outcome.text
        return outcome.text

    def up(self) -> str:
        """Deploy the declared resources without a preview."""
        return self.done("up", "--yes", "--skip-preview", "--diff")

    def refused(self, *command: str) -> str:
        """Run the CLI; its text. Fails the test when the command succeeds."""
        outcome = self.run(*command)
        assert outcome.code != 0, outcome.text
        return outcome.text

    def planned(self) -> dict[str, Any]:
        """Return a preview: its steps and its diagnostics, with the errors."""
        done = subprocess.run(
            [self.cli, "preview", "--json", "--non-interactive"],
            cwd=self.folder / "program",
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        planned: dict[str, Any] = {"steps": [], "diagnostics": []} | json.loads(done.stdout)
        errors = [entry for entry in planned["diagnostics"] if entry["severity"] == "error"]
        assert bool(errors) == (done.returncode != 0), done.stdout + done.stderr
        return planned

    def steps(self) -> dict[str, dict[str, Any]]:
        """Return the operations of a preview, by resource name."""
        planned = self.planned()
        assert not [e["message"] for e in planned["diagnostics"] if e["severity"] == "error"]
        # A replacement shows up as several steps; `replace` is the one that carries its reasons.
        order = sorted(planned["steps"], key=lambda step: step["op"] == "replace")
        return {step["urn"].rpartition("::")[2]: step for step in order}

    def state(self) -> dict[str, dict[str, Any]]:
        """Return the resources in the state, by name."""
        deployment = json.loads(self.done("stack", "export"))["deployment"]
        return {item["urn"].rpartition("::")[2]: item for item in deployment.get("resources", [])}


def declared(name: str, manifest: dict[str, Any], *, secret: tuple[str, ...] = (), **options: Any) -> dict[str, Any]:
    """Declare one resource: options by their Python names, `timeout` in seconds, `after` names of earlier ones,
    `type` where it is not the manifest's kind. With `id` it is read, and never made."""
    return {"name": name, "manifest": manifest, "options": options, "secret": secret}


def _script(path: Path, module: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m testbed.plugin.{module} "$@"\n')
    path.chmod(0o755)

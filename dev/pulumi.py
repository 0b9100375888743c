"""Pulumi for one stack: the official CLI if it can be downloaded, else the built one. State is in this checkout."""

import json
import os
import secrets
import shlex
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import processes
from .paths import CACHE, ROOT, STACKS, STATE, VENV
from .progress import CommandError, run, say, step
from .toolchain import tools

LOG = STATE / "log" / "pulumi.log"
DOWNLOAD_WITHIN = 4.0
"""Seconds to wait for the first answer of a download, before a build from the pinned sources."""
RELEASES = "https://github.com/pulumi/pulumi/releases/download"


@dataclass(frozen=True)
class Pulumi:
    """A CLI and its environment. With `standin`, testbed/plugin replaces the official plugin."""

    binary: Path
    env: Mapping[str, str]
    standin: bool

    def run(self, *args: str, timeout: float = 1800) -> str:
        """Run without output and return stdout. Raise CommandError with the end of the log."""
        return run(
            [self.binary, *args, "--non-interactive"], log=LOG, cwd=ROOT, env=self.env, timeout=timeout, capture=True
        )

    def show(self, *args: str) -> int:
        """Run with the user's terminal; return the exit code."""
        return subprocess.run([self.binary, *args], cwd=ROOT, env=self.env, check=False).returncode


def prepare() -> Pulumi:
    """Find or build the CLI, the language host and the kubernetes plugin."""
    official = shutil.which("pulumi") or _downloaded()
    folder = Path(official).parent if official else tools.PULUMI.ensure() / "bin"
    home = STATE / "pulumi"
    (STATE / "state").mkdir(parents=True, exist_ok=True)
    passphrase = STATE / "passphrase"
    if not passphrase.exists():
        passphrase.touch(mode=0o600)
        passphrase.write_text(secrets.token_urlsafe(24))
    env = os.environ | {
        "PATH": f"{folder}:{os.environ.get('PATH', '')}",
        "LARDER_CHECKOUT": str(ROOT),
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{STATE}/state",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_ERROR_OUTPUT_STRING": "true",
        "KUBECACHEDIR": str(STATE / "kube-cache"),
    }
    standin = not _official_plugin(folder / "pulumi", home, env)
    if standin:
        env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
        _standin(home / "plugins" / f"resource-kubernetes-v{_plugin_version()}" / "pulumi-resource-kubernetes")
    return Pulumi(folder / "pulumi", env, standin)


def _plugin_version() -> str:
    metadata = next((VENV / "lib").glob("python3.*/site-packages/pulumi_kubernetes-*.dist-info"))
    return metadata.name.removeprefix("pulumi_kubernetes-").removesuffix(".dist-info")


def _standin(plugin: Path) -> None:
    plugin.parent.mkdir(parents=True, exist_ok=True)
    plugin.write_text(f'#!/bin/sh\nexec "{VENV}/bin/python" -m testbed.plugin.kubernetes "$@"\n')
    plugin.chmod(0o755)


def _official_plugin(binary: Path, home: Path, env: Mapping[str, str]) -> bool:
    """Tell whether the official kubernetes plugin is there, or download it if that answers."""
    version = _plugin_version()
    folder = home / "plugins" / f"resource-kubernetes-v{version}"
    program = folder / "pulumi-resource-kubernetes"
    if program.exists():
        return program.read_bytes()[:2] != b"#!"
    if not _answers("https://api.github.com"):
        return False
    with step("the official kubernetes plugin", 20):
        run([binary, "plugin", "install", "resource", "kubernetes", version], log=LOG, env=env, timeout=300)
    return True


def _downloaded() -> str | None:
    """Return the official CLI from Pulumi's releases, verified by checksum; None if they do not answer."""
    version = tools.pinned("pulumi", "github.com/pulumi/pulumi/pkg/v3")
    home = CACHE / f"pulumi-official-{version}"
    if (home / "pulumi").exists():
        return str(home / "pulumi")
    if (tools.PULUMI.home / "bin" / "pulumi").exists() or not _answers(RELEASES):
        return None
    name = f"pulumi-{version}-linux-{'arm64' if os.uname().machine == 'aarch64' else 'x64'}.tar.gz"
    with step("the official Pulumi CLI", 20):
        partial = home.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        run(["curl", "-fsSL", "--max-time", "600", "-O", f"{RELEASES}/{version}/{name}"], log=LOG, cwd=partial)
        sums = f"{RELEASES}/{version}/pulumi-{version.removeprefix('v')}-checksums.txt"
        run(["curl", "-fsSL", "--max-time", "60", "-o", "sums", sums], log=LOG, cwd=partial)
        run(["sha256sum", "--check", "--ignore-missing", "--strict", "sums"], log=LOG, cwd=partial)
        run(["tar", "--no-same-owner", "-xzf", name], log=LOG, cwd=partial)
        (partial / "pulumi").rename(home)
        shutil.rmtree(partial)
    return str(home / "pulumi")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=DOWNLOAD_WITHIN):
            return True
    except urllib.error.HTTPError as error:
        return error.code in (404, 405)
    except (OSError, urllib.error.URLError):
        return False


def _step(step: dict[str, Any]) -> dict[str, object]:
    """Return None for resources that are no objects of ours in the cluster: components, providers and reads."""
    state = step.get("newState") or step["oldState"]
    if not state["type"].startswith("kubernetes:") or "inputs" not in state:
        return {}
    name, kind = state["inputs"]["metadata"]["name"], state["type"].rpartition(":")[2]
    return {
        "op": step["op"],
        "urn": step["urn"],
        "kind": kind,
        "name": name,
        "differs": sorted(step.get("detailedDiff") or {}),
        "replaced_for": sorted(step.get("replaceReasons") or []),
    }


def _id(metadata: Mapping[str, str]) -> str:
    """Return the id that the kubernetes plugin gives an object."""
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else metadata["name"]


class Stack:
    """One stack of the program, with an overlay for values of this run such as digests and addresses."""

    def __init__(self, name: str, overlay: Mapping[str, object], *, kubeconfig: Path | None = None) -> None:
        self.name = name
        pulumi = prepare()
        overlay_file = STATE / f"overlay.{name}.json"
        overlay_file.write_text(json.dumps(overlay, indent=1))
        extra = {"LARDER_OVERLAY": str(overlay_file)} | ({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {})
        self.pulumi = Pulumi(pulumi.binary, {**pulumi.env, **extra}, pulumi.standin)
        self._config = self._working_copy()

    def up(self, cluster_id: str) -> dict[str, int]:
        """Deploy, on the user's terminal; return what was done: {"same": 12, "create": 1, …}.

        `cluster_id` names the cluster that the context leads to: a new one has nothing of what the state remembers,
        so the state is brought to the truth first.
        """
        self._select()
        self._unlock()
        self._adopt()
        marker = STATE / f"cluster.{self.name}"
        known = marker.exists() and marker.read_text() == cluster_id
        options = [f"--policy-pack={ROOT / 'policies'}", "--suppress-outputs", *([] if known else ["--refresh"])]
        # Preview first: a refusal during `up` would leave a partial change.
        if self._refused(options) or self.pulumi.show("up", "--yes", "--skip-preview", *options, *self._where()):
            msg = f"pulumi up of stack {self.name} failed. Fix: follow the messages above and run `make up` again."
            raise CommandError(msg)
        marker.write_text(cluster_id)
        (last,) = json.loads(
            self.pulumi.run("stack", "history", "--json", "--page-size=1", "--page=1", f"--stack={self.name}")
        )
        return dict(last.get("resourceChanges", {}))

    def preview(self) -> list[dict[str, object]]:
        """Return each change that `up` would make to an object: op, URN, names, and paths that differ or replace."""
        self._select()
        self._unlock()
        found = json.loads(self.pulumi.run("preview", "--json", *self._where()))
        changes = [_step(step) for step in found["steps"] if step["op"] != "same"]
        return [change for change in changes if change]

    def destroy(self) -> None:
        """Remove everything except protected resources: the data volumes stay."""
        self._select()
        self._unlock()
        if self.pulumi.show(
            "destroy", "--yes", "--skip-preview", "--exclude-protected", "--suppress-outputs", *self._where()
        ):
            msg = f"pulumi destroy of stack {self.name} failed. Fix: follow the messages above"
            raise CommandError(msg)
        say("\nThe stack is down. Data volumes stay, and what is on them: the next `make up` fetches nothing again.")

    def shell(self, file: Path, programs: Iterable[Path] = ()) -> None:
        """Write the environment in which `kubectl` and `pulumi` act on this stack; `programs` are folders for PATH."""
        env = self.pulumi.env
        path = [str(self.pulumi.binary.parent), *map(str, programs)]
        names = sorted(
            name for name in env if name.startswith(("PULUMI_", "LARDER_")) or name in ("KUBECONFIG", "KUBECACHEDIR")
        )
        lines = [f"export {name}={shlex.quote(env[name])}" for name in names]
        file.write_text(
            "\n".join(
                [*lines, f"export PULUMI_STACK={self.name}", f'export PATH={shlex.quote(":".join(path))}:"$PATH"', ""]
            )
        )

    def outputs(self) -> dict[str, object]:
        """Return the stack's outputs."""
        return dict(json.loads(self.pulumi.run("stack", "output", "--json", f"--stack={self.name}")))

    def _where(self) -> list[str]:
        return [f"--stack={self.name}", f"--config-file={self._config}"]

    def _refused(self, options: list[str]) -> bool:
        """Tell whether a preview fails, and show it if it does: what another one promises is about to be done."""
        try:
            self.pulumi.run("preview", *options, *self._where())
        except CommandError:
            return bool(self.pulumi.show("preview", *options, *self._where()))
        return False

    def _adopt(self) -> None:
        """Adopt resources that an interrupted update was creating: Pulumi would create them twice.

        It is put into the state as if it were there; a refresh then takes out again what is not.
        """
        exported = json.loads(self.pulumi.run("stack", "export", f"--stack={self.name}"))
        deployment = exported["deployment"]
        begun = [
            one["resource"] for one in deployment.pop("pending_operations", None) or [] if one["type"] == "creating"
        ]
        begun = [resource for resource in begun if resource["type"].startswith("kubernetes:")]
        if begun:
            with step("looking for what an earlier update had begun", 10):
                for resource in begun:
                    resource |= {"id": _id(resource["inputs"]["metadata"]), "outputs": resource["inputs"]}
                deployment["resources"] += begun
                file = STATE / "adopted.json"
                file.write_text(json.dumps(exported))
                self.pulumi.run("stack", "import", f"--file={file}", f"--stack={self.name}")
                file.unlink()
                targets = [f"--target={resource['urn']}" for resource in begun]
                self.pulumi.run("refresh", "--yes", "--skip-preview", *targets, *self._where())

    def _select(self) -> None:
        stacks = json.loads(self.pulumi.run("stack", "ls", "--json"))
        if self.name not in {s["name"] for s in stacks}:
            # `stack init` has no --config-file, so it runs beside a copy of the project.
            shutil.copy(ROOT / "Pulumi.yaml", self._config.parent)
            self.pulumi.run("stack", "init", self.name, "--secrets-provider=passphrase", f"--cwd={self._config.parent}")

    def _working_copy(self) -> Path:
        """Return a copy of the stack file: Pulumi would write this checkout's salt into the committed file."""
        copy = STATE / "project" / f"Pulumi.{self.name}.yaml"
        copy.parent.mkdir(exist_ok=True)
        text = (STACKS / f"Pulumi.{self.name}.yaml").read_text()
        # A manual `pulumi up` writes a salt into the file itself.
        own = "\nencryptionsalt:" in text
        kept = copy.read_text().splitlines() if copy.exists() and not own else []
        salt = [line for line in kept if line.startswith("encryptionsalt:")]
        copy.write_text(
            "\n".join([f"# Made from Pulumi.{self.name}.yaml by `make up`: change that one.", *salt[:1], text])
        )
        return copy

    def _unlock(self) -> None:
        """Remove the lock of a killed update; keep that of a running one."""
        for lock in (STATE / "state").glob(f".pulumi/locks/**/{self.name}/*.json"):
            holder = json.loads(lock.read_text())
            if processes.program(holder["pid"]) != "pulumi":
                say(f"  an earlier update of stack {self.name} was cut off; going on from there")
                lock.unlink()

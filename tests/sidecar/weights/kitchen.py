"""A hub with tiny models, the plan that names them, and the fetch role as a function and as a process."""

import contextlib
import functools
import hashlib
import io
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from larder_sidecar.config.weights import ModelWeights, OllamaRecipe, WeightsFile, WeightsPlan
from larder_sidecar.weights.download.fetch import Fetch
from larder_sidecar.weights.progress import Reporter, Summary
from larder_sidecar.weights.retry import Patience
from larder_sidecar.weights.sources.by_url import Sources
from larder_sidecar.weights.store.ollama_layout import blob_path, list_manifests, referenced_blobs

from testbed.hub.faults import Faults
from testbed.hub.repository import Published, Repositories
from testbed.hub.server import Hub as LocalHub
from testbed.hub.tiny_model import tiny_model
from tests.sidecar.weights.warm import Forked

ROOT = Path(__file__).parents[3]
PATIENCE = Patience(stall_seconds=0.2, failures=3, first_wait=0.01)
IMPATIENT = replace(PATIENCE, failures=2)
"""For tests in which a stalled download is what they start from."""
RECIPE = OllamaRecipe(template="{{ .Prompt }}", params={"stop": ["</s>"], "num_predict": 16})
BIG = 3_000_000
"""Bytes; enough for a download to be interrupted in the middle."""


@functools.cache
def _model(seed: int, size: int) -> bytes:
    return b"".join(tiny_model(seed, size=size))


@dataclass
class Kitchen:
    """A store under test and the hub that fills it."""

    folder: Path
    stack: ExitStack
    published: dict[str, Published] = field(default_factory=dict)
    log: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.root = self.folder / "store"

    def publish(
        self, name: str = "tiny", *, seed: int = 0, size: int = 0, chunks: list[bytes] | None = None
    ) -> Published:
        content = chunks if chunks is not None else [_model(seed, size)]
        published = Repositories(self.folder / "hub").publish(f"larder/{name}-GGUF", f"{name}.gguf", content)
        self.published[name] = published
        return published

    def hub(self, faults: Faults | None = None, *, token: str = "", tls: ssl.SSLContext | None = None) -> LocalHub:
        return self.stack.enter_context(LocalHub(self.folder / "hub", faults=faults, token=token, tls=tls))

    def plan(self, hub: LocalHub | str, *names: str, **changes: str | int) -> WeightsPlan:
        """A plan of the published models; `changes` alters the fields of every file."""
        base = hub if isinstance(hub, str) else hub.url
        models = []
        for name in names or self.published:
            it = self.published[name]
            url = f"{base}/{it.repo}/resolve/{it.revision}/{it.path}"
            facts = {"path": it.path, "url": url, "revision": it.revision, "bytes": it.bytes, "sha256": it.sha256}
            file = WeightsFile.model_validate(facts | changes)
            models.append(ModelWeights(id=name, served_names=[name], format="gguf", files=[file], ollama=RECIPE))
        return WeightsPlan(models=models)

    def fetch(
        self,
        plan: WeightsPlan,
        *,
        token: str | None = None,
        lease_seconds: float = 5,
        distrust: bool = False,
        free: Callable[[Path], int] = lambda _: 1 << 40,
        patience: Patience = PATIENCE,
    ) -> Summary:
        with Sources(token, stall_seconds=patience.stall_seconds) as sources:
            run = Fetch(plan, self.root, sources, Reporter(self.log), patience, lease_seconds, distrust, free)
            return run.run()

    def process(self, plan: WeightsPlan, *more: str, stdout: int = subprocess.PIPE) -> Forked:
        """The command in a process of its own; killed at the end of the test at the latest."""
        return self.stack.enter_context(
            contextlib.closing(Forked(self._words(plan, *more), self._environment, self.folder, stdout))
        )

    def started(self, plan: WeightsPlan, *more: str) -> subprocess.CompletedProcess[str]:
        """The command as it is started in a pod, run to its end."""
        command = [sys.executable, "-m", "larder_sidecar", *self._words(plan, *more)]
        return subprocess.run(
            command, env=self._environment, text=True, capture_output=True, cwd=self.folder, timeout=60, check=False
        )

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]}

    def _words(self, plan: WeightsPlan, *more: str) -> list[str]:
        config = self.folder / "weights.json"
        config.write_text(plan.to_json())
        return ["fetch", "--config", str(config), "--root", str(self.root), *more]

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.log.getvalue().splitlines()]

    def models(self) -> set[str]:
        """Return the models that Ollama would list, after a check that every blob is there and has its digest."""
        names = set()
        for manifest in list_manifests(self.root):
            for blob in referenced_blobs(manifest) or {"no manifest"}:
                content = (self.root / blob).read_bytes()
                assert blob == blob_path(hashlib.sha256(content).hexdigest()), f"{manifest} offers a bad {blob}"
            names.add(f"{manifest.parent.name}:{manifest.name}")
        return names

    def part_bytes(self) -> int:
        return sum(p.stat().st_size for p in (self.root / ".larder/parts").glob("*") if p.suffix != ".json")

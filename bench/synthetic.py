"""Synthetic weights of a whole number of GiB, and the manifests that serve them with one strategy."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pulumi
from larder_sidecar.catalog import CatalogEntry

from components.plan.plan import make_plan
from components.platform import Platform, connect
from components.settings import Settings, parse
from components.settings.base import Catalog
from components.settings.node_local import NodeLocalSettings
from components.settings.shared_storage import SharedStorageSettings
from components.settings.strategies import STRATEGIES
from components.settings.weights_plan import weights_plan
from dev.paths import STATE
from preview.program import record
from preview.render import render
from testbed.cluster.cluster import Cluster
from testbed.cluster.layout import DISK_INSIDE, HUB, NODE, REGISTRY_NAME
from testbed.hub.repository import Repositories
from testbed.hub.tiny_model import Shape, tiny_model

NAMESPACE, STACK, SHARED = "bench", "dev", "bench-shared"
BLOCKS_OF_A_GIB = 16
"""Bytes of an F32 layer 1,024 wide, with feed-forward 4,096: 64 MiB."""
FOLDER = "bench"
"""Folder on the node's data disk."""


class Synthetic:
    """One model on the local hub of a cluster."""

    def __init__(self, gib: int, cluster: Cluster) -> None:
        self._cluster = cluster
        name = f"synthetic-{gib}gib"
        shape = Shape(embedding=1024, feed_forward=4096, heads=16, blocks=BLOCKS_OF_A_GIB * gib)
        made = Repositories(HUB).publish(f"bench/{name}", f"{name}.gguf", tiny_model(gib, shape=shape))
        file = {"path": made.path, "bytes": made.bytes, "sha256": made.sha256}
        self.entry = CatalogEntry.model_validate(
            {
                "id": name,
                "name": f"{gib} GiB of random weights",
                "format": "gguf",
                "quantization": "F32",
                "context": 512,
                "license": "apache-2.0",
                "hub": {"repo": made.repo, "revision": made.revision, "files": [file]},
                "ollama": {"template": "{{ .Prompt }}"},
                "needs": {"memory": f"{gib + 1}Gi", "cpu": "500m"},
            }
        )
        self._gib = gib

    def manifests(self, strategy: str, images: Mapping[str, str]) -> dict[str, str]:
        """Publish its image, and return the objects that serve it with this strategy in the order of applying."""
        size = f"{2 * self._gib}Gi"
        facts = STRATEGIES[strategy]
        here: Mapping[str, object] = {
            NodeLocalSettings.NAME: {
                "node": NODE,
                "path": str(DISK_INSIDE / FOLDER),
                "size": size,
                "prepare-path": True,
            },
            SharedStorageSettings.NAME: {"storage-class": SHARED, "size": size},
        }
        block = here.get(strategy) or facts.example([self.entry], [NODE]) or None
        if facts.PUBLISHED == "weights":
            block = {"images": {self.entry.id: self._published()}}
        elif facts.PUBLISHED == "engine":
            engine = images["ollama"].replace(REGISTRY_NAME, self._cluster.registry, 1)
            block = {"image": self._published("--engine", engine)}
        config = {
            "larder:cluster": {"kind": "embedded", "context": NODE, "namespace": NAMESPACE},
            "larder:node-pools": {"cpu": {"hosts": [NODE]}},
            "larder:models": [self.entry.id],
            "larder:images": dict(images),
            "larder:hub": {"endpoint": self._cluster.hub},
            "larder:cache": {"strategy": strategy, **({strategy: block} if block else {})},
            "larder:ollama": {"pool": "cpu", "cpu": "500m"},
        }
        settings = parse(config, stack=STACK, catalog=Catalog({self.entry.id: self.entry}))
        files, _ = render(record(config, stack=STACK, program=partial(_program, settings)))
        return files

    def _published(self, *upon: str) -> str:
        """Publish an image of its weights, or an engine's image with them, with the sidecar's role `publish`."""
        plan, store = STATE / "bench.json", STATE / "bench-store"
        plan.write_text(weights_plan([self.entry], self._cluster.hub).to_json())
        publish: list[str | Path] = [
            sys.executable,
            "-m",
            "larder_sidecar",
            "publish",
            "--config",
            plan,
            "--root",
            store,
        ]
        done = subprocess.run(
            [*publish, "--to", f"{self._cluster.registry}/bench", "--plain-http", *upon],
            stdout=subprocess.PIPE,
            check=True,
        )
        shutil.rmtree(store)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        (pushed,) = (event for event in events if event["event"] == "pushed")
        return str(pushed["reference"]).replace(self._cluster.registry, REGISTRY_NAME, 1)


def _program(settings: Settings) -> None:
    """Run the project's program with a catalog that is not on disk."""
    Platform("larder", settings, make_plan(settings), pulumi.ResourceOptions(providers=connect(settings)))

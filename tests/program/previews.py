"""One preview of the real program, with queries for tests."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from larder_sidecar.config.manager import InferenceService, ManagerConfig

from components import ROOT
from components.caching import STRATEGIES
from components.settings import SettingsError, parse
from components.settings.read import read_catalog
from components.settings.sources import merged
from preview.objects import is_manifest, kind
from preview.program import record, stack_config
from preview.recorder import Recording, Registered

STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))
CATALOG = read_catalog(ROOT)
IMAGES = {
    name: f"registry.example/{name}@sha256:{str(digit) * 64}"
    for digit, name in enumerate(("sidecar", "ollama", "vllm", "llama-server", "shimmy", "git-sync"), 1)
}
ON_A_SHORT_STACK = ThreadPoolExecutor(1)
"""The SDK looks through the whole stack for each resource, and a test runner's is three times the program's."""
PREBUILT = {"prebuilt-image": {"image": f"registry.example/prebuilt/ollama@sha256:{'9' * 64}"}}
SHARED = {"nfs": {"server": "nas.example", "path": "/export/models"}, "size": "20Gi"}


@dataclass(frozen=True)
class Preview:
    """The requests of a preview to the engine."""

    recording: Recording

    def objects(self) -> list[Registered]:
        """Return the objects of the cluster."""
        found = [resource for resource in self.recording.resources if is_manifest(resource)]
        assert found, "the preview has no objects: what a test says of each of them would hold"
        return found

    def all(self, wanted: str) -> list[Registered]:
        """Return the objects of a kind."""
        return [resource for resource in self.objects() if kind(resource) == wanted]

    def one(self, wanted: str, name: str | None = None) -> Registered:
        """Return the object of a kind whose name begins with `name`."""
        found = [r for r in self.all(wanted) if name is None or r.inputs["metadata"]["name"].startswith(name)]
        assert len(found) == 1, f"{len(found)} of {wanted} {name or ''}"
        return found[0]

    def named(self) -> dict[str, Registered]:
        """Return the objects by kind and name."""
        return {f"{kind(r)} {r.inputs['metadata']['name']}": r for r in self.objects()}

    def pod(self, wanted: str = "Deployment", name: str | None = None) -> dict[str, Any]:
        """Return the pod template's spec."""
        spec: dict[str, Any] = self.one(wanted, name).inputs["spec"]["template"]["spec"]
        return spec

    def pods(self) -> dict[str, dict[str, Any]]:
        """Return the specs of all pod templates."""
        makers = {name: r for name, r in self.named().items() if "template" in r.inputs.get("spec", {})}
        assert makers, "no object of the preview makes pods: what a test says of each of them would hold"
        return {name: resource.inputs["spec"]["template"]["spec"] for name, resource in makers.items()}

    def inference(self) -> InferenceService:
        """Return the InferenceService that the manager applies."""
        text = self.one("ConfigMap", "larder-manager").inputs["data"]["manager.json"]
        return ManagerConfig.from_json(text).inference_service

    def engine(self) -> dict[str, Any]:
        """Return the engine's container."""
        (container,) = self.pod()["containers"]
        return dict(container)

    def init(self, name: str) -> dict[str, Any]:
        """Return the engine's init container of that name."""
        (container,) = [c for c in self.pod()["initContainers"] if c["name"] == name]
        return dict(container)


def preview_of(
    strategy: str | None = None,
    overlay: Mapping[str, Any] | None = None,
    *,
    stack: str = "dev",
    unknowns: bool = False,
    secrets: frozenset[str] = frozenset(),
) -> Preview:
    """Preview a stack file with a strategy and an overlay."""
    config = config_of(stack, strategy, overlay)
    return Preview(
        ON_A_SHORT_STACK.submit(record, config, stack=stack, unknowns=unknowns, secret_keys=secrets).result()
    )


def config_of(stack: str, strategy: str | None, overlay: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the config of a stack file, with images and, if `strategy` is given, another strategy.

    Add the block of a strategy that works on every cluster if the file lacks it.
    """
    run = {"larder:images": IMAGES, **({"larder:cache": {"strategy": strategy}} if strategy else {})}
    config = merged(merged(stack_config(stack), run), overlay or {})
    weights = {model: f"registry.example/weights/{model}@sha256:{'3' * 64}" for model in config["larder:models"]}
    blocks: dict[str, Any] = {"shared-storage": SHARED, "image-volume": {"images": weights}, **PREBUILT}
    if strategy == "kserve-cache":
        blocks[strategy] = {"size": "20Gi"}
    return merged({"larder:cache": blocks}, config)


def refusals(stack: str, strategy: str) -> tuple[str, ...]:
    """Return the reasons why the stack cannot have the strategy; empty if it can."""
    try:
        parse(config_of(stack, strategy), stack=stack, catalog=CATALOG)
    except SettingsError as error:
        return error.lines
    return ()


DRAINS = {
    "preStop": {
        "httpGet": {"path": "/drain", "port": 9090, "httpHeaders": [{"name": "x-larder-drain", "value": "1"}]},
    }
}
"""The hook of a pod with a gateway: the header is what the gateway knows the kubelet by."""
OF_DEV = tuple(strategy for strategy in STRATEGIES if not refusals("dev", strategy))
"""The strategies that an Ollama stack can have."""
PAIRS = [(stack, strategy) for stack in STACKS for strategy in STRATEGIES]
CASES = [pair for pair in PAIRS if not refusals(*pair)]
"""Every stack under every strategy it can have."""

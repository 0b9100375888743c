"""The embedded cluster as a target: it starts, gets images, and has a local hub if no other hub answers."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from testbed import packages
from testbed.cluster import cgroups, cluster, kserve
from testbed.cluster.cluster import Cluster
from testbed.cluster.egress import HUGGING_FACE, hub_answers
from testbed.cluster.layout import HUB, NODE, REGISTRY_NAME
from testbed.hub.repository import Repositories
from testbed.hub.tiny_model import CATALOG, tiny_model
from testbed.images.build import PAUSE
from testbed.toolchain import tools as of_cluster

from . import preflight, python, stack_file
from .images import build as images
from .images import weights
from .progress import say, step
from .target import CLUSTER_ID, Target
from .toolchain import tools


def target() -> Target:
    """Start the cluster and push the images of stack dev to it. Raise CommandError."""
    online = hub_answers()
    instead = [] if online else [f"--model={model}" for model in CATALOG]
    wanted = stack_file.read(f"--node={NODE}", *instead)
    found = start(wanted.engines, egress=online)
    if "vllm" in wanted.engines or kserve.FOLDER.exists():  # it also removes former parts
        kserve.ensure(found)
    overlay: dict[str, object] = {
        "larder:images": images.deploy(found.registry, REGISTRY_NAME, wanted.engines),
        "larder:cluster": {"context": NODE},
    }
    if not online:
        overlay |= local_models(found, wanted.models)
    overlay = weights.publish("dev", overlay, found.registry, REGISTRY_NAME)
    kubectl = of_cluster.KUBERNETES.home / "bin"
    return Target(overlay, found.kubeconfig, found.address, found.kubectl(*CLUSTER_ID), (kubectl,))


def start(engines: Iterable[str], *, egress: bool = False) -> Cluster:
    """Install and build what the cluster and the engines need, and start it. Raise CommandError."""
    needed = [*of_cluster.CLUSTER, *(tools.ENGINES[engine] for engine in engines)]
    preflight.check(needed, cgroups.problems())
    packages.install()
    python.ensure()
    for tool in needed:
        tool.ensure()
    if tools.SHIMMY in needed:
        packages.ensure_vulkan()
    found = cluster.start(egress=egress)
    PAUSE.ensure(found.registry)
    return found


def kubeconfig() -> Path | None:
    """Return the kubeconfig of the cluster, None if it does not run."""
    found = cluster.running()
    return found.kubeconfig if found else None


def drop() -> None:
    """End the cluster and remove it with its disk."""
    cluster.drop(keep_disk=False)


def local_models(found: Cluster, models: Sequence[str]) -> dict[str, object]:
    """Put tiny models on the cluster's hub; return the settings of models for the overlay."""
    with step("tiny models with random weights"):
        for model, seed in CATALOG.items():
            Repositories(HUB).publish(f"larder/{model}-GGUF", f"{model}.gguf", tiny_model(seed))
    served = " and ".join(models)
    say(f"  ! {HUGGING_FACE} does not answer from here: serving {served} from a local hub. The answers are noise.")
    return {"larder:models": list(models), "larder:hub": {"endpoint": found.hub}}

"""`make up`: from nothing to an answer of the deployed endpoint."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from . import packages, preflight, python
from .cluster import cluster as embedded
from .cluster import kserve
from .cluster.cluster import Cluster
from .cluster.layout import HUB, NODE, REGISTRY_NAME
from .hub.repository import Repositories
from .hub.tiny_model import CATALOG, tiny_model
from .images import build as images
from .images import weights
from .paths import ROOT, STACKS, STATE, VENV
from .progress import TestbedError, say, step
from .pulumi import Stack
from .toolchain import tools

HUGGING_FACE = "https://huggingface.co"
CLUSTER_ID = ("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
"""What kubectl is asked for the nearest thing that a cluster has to an identity."""
ENGINES = {"ollama": "ollama", "kserve": "vllm"}
"""The engine of a stack, as larder:images calls it; larder:shimmy has the choice."""
KSERVE_CRD = ("crd", "inferenceservices.serving.kserve.io", "-o", "name")
ANSWER_WITHIN = 60.0
"""Seconds for the first answer after Pulumi says that everything is ready."""


@dataclass(frozen=True)
class Target:
    """Where a stack goes: the overlay it needs there, and how this host reaches it."""

    overlay: Mapping[str, object]
    kubeconfig: Path | None
    address: str
    """Of a node."""
    cluster_id: str
    """Differs from every other cluster that ever had this name."""


def main() -> None:
    """Bring everything up and prove it with a question."""
    stack, target = prepared()
    stack.shell(STATE / "env")  # before the deployment: whoever looks into a failed one needs it
    say("\nDeploying stack dev")
    changes = stack.up(target.cluster_id)
    if not any(count for kind, count in changes.items() if kind != "same"):
        say("Nothing changed.")
    outputs = stack.outputs()
    url = f"http://{target.address}:{outputs['node_port']}"
    (STATE / "url.dev").write_text(url)
    ask(url, str(outputs["default_model"]))
    farewell(url, outputs)


def preview() -> None:
    """Print, as JSON, what `main` would change."""
    stack, _ = prepared()
    say(json.dumps(stack.preview()))


def prepared() -> tuple[Stack, Target]:
    """Stack dev, with everything it needs at the place where it goes."""
    context, registry = os.environ.get("CONTEXT"), os.environ.get("REGISTRY")
    if bool(context) != bool(registry):
        msg = "CONTEXT= and REGISTRY= go together: the cluster, and a registry it can pull from and you can push to"
        raise TestbedError(msg)
    target = existing(context, registry) if context and registry else here()
    return Stack("dev", target.overlay, kubeconfig=target.kubeconfig), target


def here() -> Target:
    """The embedded cluster with the stack's images on it."""
    online = hub_answers()
    check(f"--node={NODE}", *(f"--model={model}" for model in ([] if online else tiny_models())))
    cluster = embedded_cluster(egress=online)
    if "vllm" in engines() or kserve.FOLDER.exists():  # what was there may have to go, which is its work too
        kserve.ensure(cluster)
    built = images.deploy(cluster.registry, REGISTRY_NAME, engines())
    overlay = {"larder:images": built, "larder:cluster": {"context": NODE}, **local_models(cluster, online=online)}
    overlay = weights.publish("dev", overlay, cluster.registry, REGISTRY_NAME)
    return Target(overlay, cluster.kubeconfig, cluster.address, cluster.kubectl(*CLUSTER_ID))


def engines() -> list[str]:
    """The engines of stack dev, as far as a look at its file tells: this Python may have no YAML yet."""
    text = stack_file()
    found = [engine for stack, engine in ENGINES.items() if re.search(rf"(?m)^ +larder:{stack}:", text)]
    if block := re.search(r"(?ms)^ +larder:shimmy:.*?(?=^ +larder:|\Z)", text):
        found.append("shimmy" if re.search(r"\bengine: *shimmy\b", block[0]) else "llama-server")
    return found


def stack_file() -> str:
    """The text of stack dev."""
    return (STACKS / "Pulumi.dev.yaml").read_text()


def embedded_cluster(*, egress: bool = False) -> Cluster:
    """The embedded cluster, with everything installed and built that it and the engine need."""
    preflight.check(engines(), embedded=True)
    packages.install()
    python.ensure()
    for tool in (*tools.CLUSTER, *(tools.ENGINES[engine] for engine in engines())):
        tool.ensure()
    if "shimmy" in engines():
        packages.ensure_vulkan()
    return embedded.start(egress=egress)


def check(*facts: str) -> None:
    """Refuse a stack file that cannot work before anything is built for it. Raises TestbedError.

    `facts` of the cluster, and of what is served on it, as options of the command.
    """
    python.ensure()
    command: list[str | Path] = [VENV / "bin" / "python", "-m", "preview", "check", "--folder", STACKS]
    asked = subprocess.run([*command, *facts], cwd=ROOT, capture_output=True, text=True, check=False)
    if asked.returncode:
        msg = f"Pulumi.dev.yaml cannot be deployed:\n{asked.stderr.strip()}"
        raise TestbedError(msg)


def existing(context: str, registry: str) -> Target:
    """A cluster that somebody else runs: nothing of it is touched but what the program declares."""
    preflight.check(engines(), embedded=False)
    listed = json.loads(_kubectl(context, "get", "nodes", "-o", "json"))["items"]
    kubernetes = oldest(listed)
    check(f"--kubernetes={kubernetes}")
    if "vllm" in engines():
        require_kserve(context)
        require_gpus(context, listed)
    nodes = {n["metadata"]["name"]: n["status"]["addresses"] for n in listed}
    first = next(iter(nodes))
    python.ensure()
    packages.install()
    overlay = {
        "larder:images": images.deploy(registry, registry, engines()),
        "larder:cluster": {"kind": "on-prem", "context": context, "kubernetes": kubernetes},
        "larder:node-pools": {"cpu": {"hosts": list(nodes)}},
        "larder:cache": {"node-local": {"node": first}},
        "larder:gateway": {"service": "NodePort"},
    }
    address = next(a["address"] for a in nodes[first] if a["type"] == "InternalIP")
    kubeconfig = Path(config) if (config := os.environ.get("KUBECONFIG")) else None
    overlay = weights.publish("dev", overlay, registry, registry)
    return Target(overlay, kubeconfig, address, _kubectl(context, *CLUSTER_ID))


def require_kserve(context: str) -> None:
    """Refuse a cluster that does not know InferenceServices, before anything is deployed to it. Raises TestbedError."""
    if not _kubectl(context, "get", *KSERVE_CRD, "--ignore-not-found"):
        msg = f"context {context} has no KServe ({KSERVE_CRD[1]}): install KServe 0.20 or later, or drop larder:kserve"
        raise TestbedError(msg)


def require_gpus(context: str, nodes: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a cluster whose nodes offer no GPU, where a predictor would wait for one for ever. Raises TestbedError."""
    if not any(int(node["status"]["allocatable"].get(kserve.GPU, 0)) for node in nodes):
        msg = f"context {context}: no node offers {kserve.GPU}: install AMD's device plugin, or drop larder:kserve"
        raise TestbedError(msg)


def oldest(nodes: Sequence[Mapping[str, Any]]) -> str:
    """The Kubernetes that all nodes have, as in 1.36: kubelets may be older than their API server."""
    versions = [re.findall(r"\d+", node["status"]["nodeInfo"]["kubeletVersion"]) for node in nodes]
    return ".".join(map(str, min((int(major), int(minor)) for major, minor, *_ in versions)))


def _kubectl(context: str, *args: str) -> str:
    binary = shutil.which("kubectl")
    if binary is None:
        msg = "CONTEXT= needs kubectl on PATH, to ask the cluster for its nodes"
        raise TestbedError(msg)
    asked = subprocess.run([binary, "--context", context, *args], capture_output=True, text=True, check=False)
    if asked.returncode:
        msg = f"context {context}: {asked.stderr.strip()}"
        raise TestbedError(msg)
    return asked.stdout


def hub_answers() -> bool:
    """Whether models can be fetched from Hugging Face from this host."""
    try:
        with urllib.request.urlopen(urllib.request.Request(HUGGING_FACE, method="HEAD"), timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, urllib.error.URLError):
        return False


def local_models(cluster: Cluster, *, online: bool) -> dict[str, object]:
    """What the overlay says about models: nothing where the hub answers, else a tiny model on a hub of our own."""
    if online:
        return {}
    with step("tiny models with random weights"):
        for model, seed in CATALOG.items():
            Repositories(HUB).publish(f"larder/{model}-GGUF", f"{model}.gguf", tiny_model(seed))
    models = tiny_models()
    served = " and ".join(models)
    say(f"  ! {HUGGING_FACE} does not answer from here: serving {served} from a local hub. The answers are noise.")
    return {"larder:models": models, "larder:hub": {"endpoint": cluster.hub}}


def tiny_models() -> list[str]:
    """What is served without a hub. A stack file that names tiny models means them, and other keys may do so too."""
    return [model for model in CATALOG if model in stack_file()] or ["tiny-random"]


def ask(url: str, model: str) -> None:
    """Ask one streamed question and print the answer as it comes. Raises TestbedError when none does."""
    question = "Why is the sky blue? One sentence."
    body = {"model": model, "stream": True, "max_tokens": 48, "messages": [{"role": "user", "content": question}]}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    say(f'\n> {question}   (POST {url}/v1/chat/completions, "model": "{model}")')
    deadline = time.monotonic() + ANSWER_WITHIN
    while True:
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_WITHIN) as answer:
                text = "".join(_deltas(answer))
                break
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                msg = f"{url} answered {error.code}: {error.read(2000).decode(errors='replace')}"
                raise TestbedError(msg) from error
            time.sleep(0.5)
        except (OSError, urllib.error.URLError) as error:
            # kube-proxy may be a moment behind the readiness that Pulumi waited for.
            if time.monotonic() > deadline:
                msg = f"{url} did not answer within {ANSWER_WITHIN:.0f} s: {error}"
                raise TestbedError(msg) from error
            time.sleep(0.5)
    say(repr(text)[1:-1][:300])
    if not text:
        msg = f"{url} answered without a word; see `kubectl -n ai logs -l app.kubernetes.io/part-of=larder -c gateway`"
        raise TestbedError(msg)


def _deltas(lines: object) -> list[str]:
    found = []
    for line in lines:  # type: ignore[attr-defined]  # urllib types its answers as untyped IO
        data = line.decode().removeprefix("data: ").strip()
        if data.startswith("{"):
            found.append(json.loads(data)["choices"][0]["delta"].get("content") or "")
    return found


def farewell(url: str, outputs: Mapping[str, object]) -> None:
    """Where things are and what to try next."""
    served: Any = outputs["weights"]
    other = next(strategy for strategy in ("node-local", "none") if strategy != outputs["strategy"])
    say(f"""
Larder is up.
  URL        {url}        (make url)
  strategy   {outputs["strategy"]}
  weights    {", ".join(served["models"])} ({served["bytes"] / 2**20:,.1f} MiB)
Next
  curl {url}/v1/models
  change `strategy: {outputs["strategy"]}` to `strategy: {other}` in Pulumi.dev.yaml and run `make up` again
  . {os.path.relpath(STATE / "env")} && kubectl -n {outputs["namespace"]} get pods      (pulumi too)
  make down     removes the stack and keeps the weights;  make clean  removes the cluster, weights and all""")

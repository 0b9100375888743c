"""KServe on the embedded cluster: the real controller, for stacks that ask for it, and a GPU that Kubernetes can count.

The controller runs as a process of the cluster's namespaces, like its daemons, and acts as its own service account.
"""

import base64
import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from dev.progress import CommandError, step

from ..toolchain import tools
from . import pki
from .cluster import Cluster, pid
from .layout import HOST, NODE

NAMESPACE = "kserve"
ACCOUNT = "kserve-controller-manager"
WEBHOOK_PORT, HEALTH_PORT = 19443, 18081
READY_WITHIN = 60.0
"""Seconds for the controller, and for what it needs of the API server; measured 8 s on two idle cores."""
GPU = "amd.com/gpu"
FOLDER = HOST / "kserve"

OVERRIDES = {
    '"defaultDeploymentMode": "Serverless"': '"defaultDeploymentMode": "Standard"',
    '"disableIstioVirtualHost": false': '"disableIstioVirtualHost": true',
    '"disableIngressCreation": false': '"disableIngressCreation": true',
}
"""Changes to the ConfigMap that KServe ships: Knative and Istio are not here."""


def ensure(cluster: Cluster) -> None:
    """Install KServe in a running cluster. It can be repeated, also after the cluster was killed."""
    if _answers(cluster):
        return
    source = tools.KSERVE.ensure() / "config"
    with step("KServe", 10):
        FOLDER.mkdir(parents=True, exist_ok=True)
        _apply(cluster, "-k", source / "crd")
        # The definitions of its local cache; what works by them, an agent on the node, is not here.
        _apply(cluster, "-k", source / "crd" / "localmodel")
        _apply(cluster, "-f", _written("objects.json", _objects(source)))
        _apply(cluster, "-n", NAMESPACE, "-f", _written("config.yaml", _config(source)))
        _apply(cluster, "-f", source / "role.yaml")
        _start(cluster)
        _apply(cluster, "-f", _written("webhooks.yaml", _webhooks(source, cluster)))
        _offer_gpu(cluster)


def _apply(cluster: Cluster, *what: str | Path) -> None:
    # Server-side: the definition of InferenceService is larger than the annotation that kubectl would keep it in.
    cluster.kubectl("apply", "--server-side", "--force-conflicts", *map(str, what))


def _written(name: str, content: str) -> Path:
    (FOLDER / name).write_text(content)
    return FOLDER / name


def _objects(source: Path) -> str:
    role = next(
        line.split()[1] for line in (source / "role.yaml").read_text().splitlines() if line.startswith("  name:")
    )
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    items: list[dict[str, object]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": NAMESPACE}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": ACCOUNT},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [subject],
        },
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _config(source: Path) -> str:
    text = (source / "config.yaml").read_text()
    for shipped, ours in OVERRIDES.items():
        if shipped not in text:
            msg = f"KServe's ConfigMap no longer says {shipped}; Fix: update testbed/cluster/kserve.py"
            raise CommandError(msg)
        text = text.replace(shipped, ours)
    return text


def _webhooks(source: Path, cluster: Cluster) -> str:
    """Return its webhooks by address: the controller is no pod, so no Service reaches it."""
    authority = base64.b64encode((HOST / "pki" / "ca.crt").read_bytes()).decode()
    lines: list[str] = []
    for line in (source / "webhooks.yaml").read_text().splitlines():
        key = line.strip().partition(":")[0]
        if key == "service":
            lines.append(line.replace("service:", f"caBundle: {authority}"))
        elif key == "path":
            path = line.strip().removeprefix("path: ")
            lines.append(f"      url: https://{cluster.address}:{WEBHOOK_PORT}{path}")
        elif "$(" not in line:
            lines.append(line)
    return "\n".join(lines)


def _start(cluster: Cluster) -> None:
    """Start the controller in the namespaces of the cluster, with which it ends."""
    certificate = pki.server("kserve", cluster.address)
    served = FOLDER / "k8s-webhook-server" / "serving-certs"
    served.mkdir(parents=True, exist_ok=True)
    for suffix, name in ((".crt", "tls.crt"), (".key", "tls.key")):
        (served / name).write_bytes(certificate.with_suffix(suffix).read_bytes())
    kubeconfig = json.loads(cluster.kubeconfig.read_text())
    kubeconfig["users"][0]["user"]["as"] = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
    own = FOLDER / "kubeconfig"
    own.touch(mode=0o600)
    own.write_text(json.dumps(kubeconfig))
    deadline, process = time.monotonic() + READY_WITHIN, _launch(own)
    while not _answers(cluster):
        if time.monotonic() > deadline:
            msg = f"KServe's controller did not become ready; see {HOST}/log/kserve.log"
            raise CommandError(msg)
        if process.poll() is not None:  # it gives up where the API server does not serve its definitions yet
            process = _launch(own)
        time.sleep(0.3)


def _launch(kubeconfig: Path) -> subprocess.Popen[bytes]:
    inside = pid()
    log = (HOST / "log" / "kserve.log").open("ab")
    return subprocess.Popen(
        [
            *("nsenter", f"--net=/proc/{inside}/ns/net", f"--pid=/proc/{inside}/ns/pid"),
            *("env", f"KUBECONFIG={kubeconfig}", f"POD_NAMESPACE={NAMESPACE}", f"TMPDIR={FOLDER}"),
            tools.KSERVE.home / "bin" / "manager",
            f"--webhook-port={WEBHOOK_PORT}",
            "--metrics-addr=0",
            f"--health-probe-addr=0.0.0.0:{HEALTH_PORT}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _answers(cluster: Cluster) -> bool:
    try:
        with urllib.request.urlopen(f"http://{cluster.address}:{HEALTH_PORT}/readyz", timeout=2):
            return True
    except (OSError, urllib.error.URLError):
        return False


def _offer_gpu(cluster: Cluster) -> None:
    """Offer one GPU without a device; the scheduler gives it to one pod at a time."""
    patch = [
        {"op": "add", "path": f"/status/{kind}/{GPU.replace('/', '~1')}", "value": "1"}
        for kind in ("capacity", "allocatable")
    ]
    cluster.kubectl("patch", "node", NODE, "--subresource=status", "--type=json", "-p", json.dumps(patch))

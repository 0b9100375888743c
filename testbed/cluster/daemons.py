"""The daemons of the node: command lines and configuration files, as data. Paths are those seen from inside.

docs/testing.md gives the reason for each unusual line, found by leaving it out.
"""

import json
import sys
from dataclasses import dataclass, field

from .layout import (
    API_PORT,
    DNS_DOMAIN,
    EGRESS_DNS,
    HUB_INSIDE,
    HUB_PORT,
    INSIDE,
    NODE,
    POD_CIDR,
    REGISTRY_INSIDE,
    REGISTRY_NAME,
    REGISTRY_PORT,
    SERVICE_CIDR,
    TOOLS,
)

KUBE = TOOLS / "kubernetes" / "bin"
PKI = INSIDE / "pki"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"


@dataclass(frozen=True)
class Daemon:
    """One process. `ready` is a URL that answers below 400, or a socket path, before the next wave starts."""

    name: str
    argv: list[str]
    ready: str = ""
    env: dict[str, str] = field(default_factory=dict)


def waves(address: str) -> list[list[Daemon]]:
    """Return the daemons in the order of their dependencies; those of one wave start together."""
    api = f"https://127.0.0.1:{API_PORT}"
    first = [
        # This cluster need not survive a power cut, and etcd spends most of its time in fsync.
        Daemon(
            "etcd",
            [
                f"{TOOLS}/debian/etcd/usr/bin/etcd",
                "--data-dir",
                f"{INSIDE}/etcd",
                "--unsafe-no-fsync",
                "--listen-client-urls",
                "http://127.0.0.1:2379",
                "--advertise-client-urls",
                "http://127.0.0.1:2379",
                "--listen-peer-urls",
                "http://127.0.0.1:2380",
            ],
        ),
        Daemon(
            "containerd",
            [f"{TOOLS}/containerd/bin/containerd", "--config", f"{INSIDE}/etc/containerd.toml"],
            CONTAINERD_SOCKET,
            env={"PATH": f"{TOOLS}/containerd/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        ),
        Daemon(
            "registry",
            [f"{TOOLS}/debian/docker-registry/usr/bin/docker-registry", "serve", f"{INSIDE}/etc/registry.yaml"],
            f"http://127.0.0.1:{REGISTRY_PORT}/v2/",
        ),
        Daemon(
            "apiserver",
            [
                f"{KUBE}/kube-apiserver",
                "--etcd-servers=http://127.0.0.1:2379",
                f"--service-cluster-ip-range={SERVICE_CIDR}",
                f"--tls-cert-file={PKI}/apiserver.crt",
                f"--tls-private-key-file={PKI}/apiserver.key",
                f"--client-ca-file={PKI}/ca.crt",
                f"--service-account-key-file={PKI}/sa.key",
                f"--service-account-signing-key-file={PKI}/sa.key",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--authorization-mode=Node,RBAC",
                "--allow-privileged=true",
                "--bind-address=0.0.0.0",
                f"--advertise-address={address}",
                f"--secure-port={API_PORT}",
                # The node's name does not resolve; and logs and exec need a certificate of the apiserver's own.
                "--kubelet-preferred-address-types=InternalIP",
                f"--kubelet-client-certificate={PKI}/admin.crt",
                f"--kubelet-client-key={PKI}/admin.key",
            ],
            f"{api}/readyz",
        ),
        Daemon(
            "hub",
            [
                sys.executable,
                "-m",
                "testbed.hub",
                "serve",
                "--root",
                str(HUB_INSIDE),
                "--listen",
                f"0.0.0.0:{HUB_PORT}",
            ],
            f"http://127.0.0.1:{HUB_PORT}/_stats",
        ),
    ]
    second = [
        Daemon(
            "controller-manager",
            [
                f"{KUBE}/kube-controller-manager",
                f"--kubeconfig={PKI}/controller-manager.kubeconfig",
                f"--root-ca-file={PKI}/ca.crt",
                f"--service-account-private-key-file={PKI}/sa.key",
                "--use-service-account-credentials=true",
                "--leader-elect=false",
                f"--cluster-signing-cert-file={PKI}/ca.crt",
                f"--cluster-signing-key-file={PKI}/ca.key",
            ],
        ),
        Daemon(
            "scheduler", [f"{KUBE}/kube-scheduler", f"--kubeconfig={PKI}/scheduler.kubeconfig", "--leader-elect=false"]
        ),
        Daemon(
            "proxy",
            [
                f"{KUBE}/kube-proxy",
                f"--kubeconfig={PKI}/proxy.kubeconfig",
                f"--cluster-cidr={POD_CIDR}",
                # The host sets conntrack sizes.
                "--conntrack-max-per-core=0",
                f"--hostname-override={NODE}",
            ],
        ),
        Daemon("coredns", [f"{TOOLS}/coredns/bin/coredns", "-conf", f"{INSIDE}/etc/Corefile"]),
        Daemon(
            "kubelet",
            [
                f"{KUBE}/kubelet",
                f"--config={INSIDE}/etc/kubelet.yaml",
                f"--kubeconfig={PKI}/kubelet.kubeconfig",
                f"--hostname-override={NODE}",
                f"--node-ip={address}",
                f"--root-dir={INSIDE}/kubelet",
                "--v=1",
            ],
            "http://127.0.0.1:10248/healthz",
        ),
    ]
    return [first, second]


def files(address: str, cgroup: str) -> dict[str, str]:
    """Return the configuration files by name under `etc/`."""
    return {
        "containerd.toml": _CONTAINERD,
        **{
            f"certs.d/{name}/hosts.toml": f'server = "http://127.0.0.1:{REGISTRY_PORT}"\n'
            for name in (REGISTRY_NAME, f"{address}:{REGISTRY_PORT}")
        },
        "cni/10-larder.conflist": json.dumps(_CNI, indent=1),
        "kubelet.yaml": json.dumps(_kubelet(address, cgroup), indent=1),
        "registry.yaml": _REGISTRY,
        "Corefile": _COREFILE.replace("ADDRESS", address),
    }


_CONTAINERD = f"""version = 3
root = "{INSIDE}/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.cri.v1.runtime"]
  # oom_score_adj below the parent's needs CAP_SYS_RESOURCE, which not every root has.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "{INSIDE}/etc/cni"
[plugins."io.containerd.cri.v1.images"]
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{REGISTRY_NAME}/pause:1"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "{INSIDE}/etc/certs.d"
"""

_CNI: dict[str, object] = {
    "cniVersion": "1.0.0",
    "name": "larder",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": POD_CIDR}]],
                "routes": [{"dst": "0.0.0.0/0"}],
                # An address store that outlived its pods would run out of addresses.
                "dataDir": "/run/cni",
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}

_REGISTRY = f"""version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {REGISTRY_INSIDE}}}, delete: {{enabled: true}}}}
http: {{addr: "0.0.0.0:{REGISTRY_PORT}"}}
"""

_COREFILE = f""".:53 {{
    bind ADDRESS
    errors
    ready 127.0.0.1:8181
    kubernetes {DNS_DOMAIN} in-addr.arpa {{
        kubeconfig {PKI}/coredns.kubeconfig larder
    }}
    forward . {EGRESS_DNS}
    cache 10
}}
"""


def _kubelet(address: str, cgroup: str) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{PKI}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        # Tolerates the sysctls and scores that a root without all capabilities may not set.
        "featureGates": {"KubeletInUserNamespace": True},
        "clusterDNS": [address],
        "clusterDomain": DNS_DOMAIN,
        "podLogsDir": f"{INSIDE}/pods",
        # A developer's disk is often fuller than a server's; the cluster must not evict because of it.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 99,
        "imageGCLowThresholdPercent": 98,
        "syncFrequency": "5s",
        "serializeImagePulls": False,
        "registerNode": True,
    }

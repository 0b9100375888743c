"""Who may talk to whom: the rules that NetworkPolicies are made of."""

from ipaddress import ip_address
from urllib.parse import urlsplit

import pulumi_kubernetes as k8s

CLIENTS = 8080
ADMIN = 9090

Ingress = k8s.networking.v1.NetworkPolicyIngressRuleArgsDict
Egress = k8s.networking.v1.NetworkPolicyEgressRuleArgsDict


def gateway_ingress() -> list[Ingress]:
    """Clients from anywhere; the admin port, which can drain the pod, for Prometheus alone.

    The kubelet needs no rule: traffic from the pod's own node is always allowed.
    """
    prometheus: k8s.networking.v1.NetworkPolicyPeerArgsDict = {
        "namespace_selector": {},
        "pod_selector": {"match_labels": {"app.kubernetes.io/name": "prometheus"}},
    }
    return [
        {"ports": [{"port": CLIENTS, "protocol": "TCP"}]},
        {"ports": [{"port": ADMIN, "protocol": "TCP"}], "from_": [prometheus]},
    ]


def hub_egress(endpoint: str) -> list[Egress]:
    """Name resolution, and the hub: its address where the endpoint is one, else its port anywhere.

    A hub named by a host redirects downloads to hosts that nobody can list beforehand.
    """
    url = urlsplit(endpoint)
    port = url.port or (443 if url.scheme == "https" else 80)
    hub: Egress = {"ports": [{"port": port, "protocol": "TCP"}]}
    try:
        address = ip_address(url.hostname or "")
    except ValueError:
        pass
    else:
        hub["to"] = [{"ip_block": {"cidr": f"{address}/{address.max_prefixlen}"}}]
    return [{"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}, hub]

"""Who may talk to whom: the rules that NetworkPolicies are made of."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from pulumi_kubernetes.networking import v1 as networking

from .manifest import selector

CLIENTS = 8080
ADMIN = 9090
HTTPS = 443
DNS = (53, 5353)
"""What pods that resolve names listen on: rules see the port behind the Service, and OpenShift's is 5353."""

Ingress = networking.NetworkPolicyIngressRuleArgsDict
Egress = networking.NetworkPolicyEgressRuleArgsDict


def gateway_ingress(*, of: str | None = None) -> list[Ingress]:
    """Clients from anywhere, or pods of `of` alone; the admin port, which can drain the pod, for Prometheus alone.

    The kubelet needs no rule: traffic from the pod's own node is always allowed.
    """
    prometheus: networking.NetworkPolicyPeerArgsDict = {
        "namespace_selector": {},
        "pod_selector": {"match_labels": {"app.kubernetes.io/name": "prometheus"}},
    }
    return [
        clients_ingress(of=of),
        {"ports": [{"port": ADMIN, "protocol": "TCP"}], "from_": [prometheus]},
    ]


def clients_ingress(*, of: str | None = None) -> Ingress:
    """The port for clients, from anywhere or from pods of `of` alone."""
    rule: Ingress = {"ports": [{"port": CLIENTS, "protocol": "TCP"}]}
    if of is not None:
        rule["from_"] = [{"pod_selector": {"match_labels": selector(of)}}]
    return rule


def dns_egress() -> Egress:
    """Name resolution."""
    return {"ports": [{"port": one, "protocol": protocol} for one in DNS for protocol in ("UDP", "TCP")]}


def hub_egress(endpoint: str) -> list[Egress]:
    """Name resolution, and the hub: its address where the endpoint is one, else its port and that of HTTPS anywhere.

    A hub named by a host redirects downloads to hosts that nobody can list beforehand.
    """
    url = urlsplit(endpoint)
    port = url.port or (HTTPS if url.scheme == "https" else 80)
    hub: Egress
    try:
        address = ip_address(url.hostname or "")
    except ValueError:
        hub = {"ports": [{"port": one, "protocol": "TCP"} for one in dict.fromkeys((port, HTTPS))]}
    else:
        block = f"{address}/{address.max_prefixlen}"
        hub = {"ports": [{"port": port, "protocol": "TCP"}], "to": [{"ip_block": {"cidr": block}}]}
    return [dns_egress(), hub]


def manager_egress(repo: str) -> list[Egress]:
    """Name resolution, the catalog's repository, and the API server, whose address no policy can know.

    6443 is where most API servers listen behind the Service's 443.
    """
    url = urlsplit(repo)
    ports = dict.fromkeys((url.port or (HTTPS if url.scheme == "https" else 80), HTTPS, 6443))
    return [dns_egress(), {"ports": [{"port": port, "protocol": "TCP"} for port in ports]}]

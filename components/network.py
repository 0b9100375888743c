"""Rules of NetworkPolicies."""

from collections.abc import Iterable
from ipaddress import ip_address

from larder_sidecar.config.layout import ADMIN, CLIENTS
from larder_sidecar.config.url import authority
from pulumi_kubernetes.networking import v1 as networking

from .manifest import selector

HTTPS = 443
DNS = (53, 5353)
"""Ports of the pods that resolve names: rules see the port behind the Service, and OpenShift's is 5353."""

Ingress = networking.NetworkPolicyIngressRuleArgsDict
Egress = networking.NetworkPolicyEgressRuleArgsDict


def gateway_ingress(*, of: str | None = None) -> list[Ingress]:
    """Allow clients from anywhere or pods of `of` alone, and Prometheus on the admin port, which can drain the pod.

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
    """Allow the port for clients, from anywhere or from pods of `of` alone."""
    rule: Ingress = {"ports": [{"port": CLIENTS, "protocol": "TCP"}]}
    if of is not None:
        rule["from_"] = [{"pod_selector": {"match_labels": selector(of)}}]
    return rule


def dns_egress() -> Egress:
    """Allow name resolution."""
    return {"ports": [{"port": one, "protocol": protocol} for one in DNS for protocol in ("UDP", "TCP")]}


def sources_egress(urls: Iterable[str]) -> list[Egress]:
    """Allow name resolution and the targets of these URLs; nothing without URLs.

    A host that is an address is reached at it; rules know no names, so of the others the ports are open, and that of
    HTTPS: hubs and registries redirect downloads to hosts that are not known beforehand.
    """
    addresses: dict[str, set[int]] = {}
    named: set[int] = set()
    for url in map(authority, urls):
        port = url.port or (80 if url.scheme in {"http", "oci+http"} else HTTPS)
        try:
            address = ip_address(url.host)
        except ValueError:
            named |= {port, HTTPS}
        else:
            addresses.setdefault(f"{address}/{address.max_prefixlen}", set()).add(port)
    anywhere: list[Egress] = [{"ports": _tcp(named)}] if named else []
    known: list[Egress] = [
        {"ports": _tcp(ports), "to": [{"ip_block": {"cidr": block}}]} for block, ports in sorted(addresses.items())
    ]
    rules = [*anywhere, *known]
    return [dns_egress(), *rules] if rules else []


def _tcp(ports: Iterable[int]) -> list[networking.NetworkPolicyPortArgsDict]:
    return [{"port": port, "protocol": "TCP"} for port in sorted(ports)]


def manager_egress(repo: str) -> list[Egress]:
    """Allow name resolution, the catalog's repository, and the API server, whose address no policy can know.

    6443 is where most API servers listen behind the Service's 443.
    """
    url = authority(repo)
    ports = dict.fromkeys((url.port or (HTTPS if url.scheme == "https" else 80), HTTPS, 6443))
    return [dns_egress(), {"ports": [{"port": port, "protocol": "TCP"} for port in ports]}]

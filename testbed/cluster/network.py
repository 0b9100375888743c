"""The link between host and cluster: a veth pair with an otherwise unused /30."""

import ipaddress
import json
import subprocess
from dataclasses import dataclass

from dev.progress import CommandError

POOLS = [ipaddress.ip_network(net) for net in ("10.231.0.0/24", "172.30.231.0/24", "192.168.231.0/24")]
"""Pools in this order: a company's VPN often covers one of the private ranges entirely."""


@dataclass(frozen=True)
class Link:
    """Both ends of the pair."""

    name: str
    host: str
    cluster: str

    @classmethod
    def of(cls, subnet: str) -> "Link":
        """Return the link on a /30 of the pool."""
        net = ipaddress.ip_network(subnet)
        host, cluster = (str(a) for a in net.hosts())
        return cls(f"larder{int(net.network_address) % 2**24}", host, cluster)

    def connect(self, pid: int) -> None:
        """Create the pair; its far end is born inside the network namespace of `pid` as eth0."""
        # The kernel takes the pair of a killed cluster down with its namespace, but not at once.
        subprocess.run(["ip", "link", "del", self.name], capture_output=True, check=False)
        _ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        _ip("addr", "add", f"{self.host}/30", "dev", self.name)
        _ip("link", "set", self.name, "up")


def free_subnet() -> str:
    """Return a /30 of the pools that no route of this host covers. Raise CommandError if all are taken."""
    routes = json.loads(_ip("-4", "-j", "route", "show") or "[]")
    taken = [ipaddress.ip_network(r["dst"], strict=False) for r in routes if r["dst"] != "default"]
    for pool in POOLS:
        for net in pool.subnets(new_prefix=30):
            if not any(net.overlaps(other) for other in taken):
                return str(net)
    pools = ", ".join(map(str, POOLS))
    msg = f"no /30 of {pools} is free of this host's routes. Fix: run `make clean` in checkouts that you no longer use"
    raise CommandError(msg)


def _ip(*args: str) -> str:
    done = subprocess.run(["ip", *args], capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"ip {' '.join(args)}: {done.stderr.strip()}"
        raise CommandError(msg)
    return done.stdout

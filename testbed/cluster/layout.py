"""Paths of the cluster, seen from the host and from inside its mount namespace."""

from pathlib import Path

from dev.paths import STATE

NODE = "larder"
"""Name of the only node."""

HOST = STATE / "cluster"
"""State of the cluster on the host; inside it is mounted at INSIDE, short enough for any socket path."""
INSIDE = Path("/run/larder")
TOOLS = Path("/run/tools")
"""Folders inside for the built tools and the extracted Debian packages."""

CHECKOUT_INSIDE = Path("/run/checkout")

DISK = STATE / "disk"
"""The node's data disk. It outlives the cluster: dropping one and making another finds the weights."""
DISK_INSIDE = Path("/var/lib/larder")

REGISTRY = STATE / "registry"
"""Images pushed for the cluster; kept with the disk, so that a new cluster pulls what was already built."""
REGISTRY_INSIDE = Path("/run/registry")
REGISTRY_NAME = "larder.internal"
"""Host part of every image reference; containerd's hosts.toml says where it is, so references never change."""
REGISTRY_PORT = 5000

HUB = STATE / "hub"
"""Repositories of the local hub."""
HUB_INSIDE = Path("/run/hub")
HUB_PORT = 8099

EGRESS_GATEWAY, EGRESS_DNS = "10.0.2.2", "10.0.2.3"
"""Addresses of slirp4netns inside the namespace."""

API_PORT = 6443
DNS_DOMAIN = "cluster.local"
SERVICE_CIDR = "10.96.0.0/16"
POD_CIDR = "10.244.0.0/24"

"""Egress of pods, only where there is somewhere to go: user-mode networking, so the host gets no rule.

slirp4netns gives the cluster's network namespace a tap device behind which it opens ordinary sockets of the host.
It runs in the host's network but in the cluster's PID namespace, so it ends with the cluster.
"""

import subprocess
import time
import urllib.error
import urllib.request

from dev.progress import CommandError

from ..packages import ensure
from .layout import EGRESS_GATEWAY, HOST

ENABLED_WITHIN = 10.0
HUGGING_FACE = "https://huggingface.co"


def hub_answers() -> bool:
    """Tell whether models can be fetched from Hugging Face from this host, so that pods need a way out."""
    try:
        with urllib.request.urlopen(urllib.request.Request(HUGGING_FACE, method="HEAD"), timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, urllib.error.URLError):
        return False


def open_(pid: int) -> None:
    """Give the namespace of process `pid` a default route to wherever this host can connect."""
    ensure("slirp4netns")
    log = (HOST / "log" / "egress.log").open("ab")
    # The tap device and its route replace the default route over the veth pair, which leads nowhere without NAT.
    _inside(pid, "ip", "route", "del", "default", check=False)
    slirp = subprocess.Popen(
        [
            "nsenter",
            f"--pid=/proc/{pid}/ns/pid",
            "slirp4netns",
            "--configure",
            "--mtu=65520",
            "--disable-host-loopback",
            str(pid),
            "tap0",
        ],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    deadline = time.monotonic() + ENABLED_WITHIN
    while EGRESS_GATEWAY not in _inside(pid, "ip", "route", "show", "default", check=False):
        if slirp.poll() is not None or time.monotonic() > deadline:
            msg = f"pods have no egress: slirp4netns did not start; see {HOST}/log/egress.log"
            raise CommandError(msg)
        time.sleep(0.05)


def _inside(pid: int, *argv: str, check: bool = True) -> str:
    return subprocess.run(
        ["nsenter", f"--net=/proc/{pid}/ns/net", *argv], capture_output=True, text=True, check=check
    ).stdout

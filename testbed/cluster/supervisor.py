"""Process 1 of the cluster's namespaces: mounts what the daemons need, starts them in order, reaps, and dies with them.

Because it is process 1 of its own PID namespace, the kernel ends every shim and container with it; because the mounts
and links are in its mount and network namespaces, they go too. So there is nothing to clean up, however it dies.
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from dev.paths import ROOT

from .daemons import Daemon, files, waves
from .layout import (
    CHECKOUT_INSIDE,
    DISK,
    DISK_INSIDE,
    HOST,
    HUB,
    HUB_INSIDE,
    INSIDE,
    NODE,
    REGISTRY,
    REGISTRY_INSIDE,
    TOOLS,
)

READY_WITHIN = 120.0
"""Seconds for one wave; measured 3 s and 8 s on two idle cores."""


def main(arguments: str) -> None:
    """Run the cluster that `arguments` (JSON: address, cgroup, tools) describes, until killed."""
    args = json.loads(arguments)
    _mount(args["tools"])
    _network(args["address"])
    for name, text in files(args["address"], args["cgroup"]).items():
        target = INSIDE / "etc" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    for wave in waves(args["address"]):
        running = [(daemon, _start(daemon)) for daemon in wave]
        deadline = time.monotonic() + READY_WITHIN
        for daemon, process in running:
            _await(daemon, process, deadline)
    (INSIDE / "up").write_text(json.dumps({"address": args["address"]}))
    _reap()


def _mount(tools: dict[str, str]) -> None:
    """Give the daemons their own /run and /var/lib; the host keeps its own and sees none of this."""
    _sh("mount", "--make-rprivate", "/")
    held = {DISK: DISK_INSIDE, HOST: INSIDE, REGISTRY: REGISTRY_INSIDE, HUB: HUB_INSIDE, ROOT: CHECKOUT_INSIDE}
    # Handles opened before /run is covered: the checkout or the cache may itself lie under /run or /var/lib.
    sources = {target: os.open(source, os.O_PATH) for source, target in held.items()}
    sources |= {TOOLS / name: os.open(source, os.O_PATH) for name, source in tools.items()}
    for covered in ("/run", "/var/lib"):
        _sh("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", covered)
    for target, handle in sources.items():
        target.mkdir(parents=True, exist_ok=True)
        _sh("mount", "--bind", f"/proc/{os.getpid()}/fd/{handle}", str(target))
        os.close(handle)
    # The kubelet's /var/log/containers is not configurable.
    _sh("mount", "-t", "tmpfs", "tmpfs", "/var/log")
    _sh("mount", "--make-rshared", "/")


def _network(address: str) -> None:
    socket.sethostname(NODE)
    _sh("ip", "link", "set", "lo", "up")
    deadline = time.monotonic() + 10
    while subprocess.run(["ip", "link", "show", "eth0"], capture_output=True, check=False).returncode:
        if time.monotonic() > deadline:
            _die("the host's end of the link did not come within 10 s")
        time.sleep(0.05)
    gateway = address.rsplit(".", 1)[0] + f".{int(address.rsplit('.', 1)[1]) - 1}"
    _sh("ip", "addr", "add", f"{address}/30", "dev", "eth0")
    _sh("ip", "link", "set", "eth0", "up")
    _sh("ip", "route", "add", "default", "via", gateway)
    for key in ("ip_forward", "conf/all/route_localnet"):
        Path("/proc/sys/net/ipv4", key).write_text("1")


def _start(daemon: Daemon) -> subprocess.Popen[bytes]:
    log = (INSIDE / "log" / f"{daemon.name}.log").open("ab")
    return subprocess.Popen(
        daemon.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=CHECKOUT_INSIDE, env=os.environ | daemon.env
    )


def _await(daemon: Daemon, process: subprocess.Popen[bytes], deadline: float) -> None:
    while not _answers(daemon.ready):
        if process.poll() is not None:
            _die(f"{daemon.name} ended with code {process.returncode} before it was ready")
        if time.monotonic() > deadline:
            _die(f"{daemon.name} was not ready within {READY_WITHIN:.0f} s ({daemon.ready})")
        time.sleep(0.1)


def _answers(ready: str) -> bool:
    if not ready:
        return True
    if ready.startswith("/"):
        return Path(ready).is_socket()
    context = ssl.create_default_context(cafile=str(INSIDE / "pki" / "ca.crt"))
    if ready.startswith("https:"):
        context.load_cert_chain(INSIDE / "pki" / "admin.crt", INSIDE / "pki" / "admin.key")
    try:
        with urllib.request.urlopen(ready, timeout=2, context=context) as answer:
            return bool(answer.status < 400)
    except (OSError, urllib.error.URLError):
        return False


def _reap() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        try:
            os.wait()
        except ChildProcessError:
            _die("every daemon has ended")


def _die(reason: str) -> None:
    (INSIDE / "failed").write_text(reason)
    sys.exit(1)


def _sh(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    main(sys.argv[1])

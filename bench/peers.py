"""Other proxies before an engine, measured with the gateway if this machine has them.

`LARDER_PEERS` names a folder with their programs; without it they are on PATH. The bench neither builds nor
fetches one, and a missing peer keeps its last figures. Each is configured to limit and log as little as possible, so
that no setting makes it slow.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .processes import free_port, process


@dataclass(frozen=True)
class Target:
    """A server that answers chat completions, and its process."""

    name: str
    port: int
    pid: int = 0
    path: str = "/v1/chat/completions"
    model: str = "small"
    chooses: bool = False
    """True if it has rules for requests without a model."""


@dataclass(frozen=True)
class Peer:
    """The start of a peer: its configuration for (its port, the engine's port, a folder), and its command."""

    name: str
    version: tuple[str, ...]
    """Arguments that print its version."""
    configure: Callable[[int, int, Path], list[str]]
    path: str = "/v1/chat/completions"
    model: str = "small"
    """Name of the model for this peer."""

    def find(self) -> str | None:
        """Return the path of its program."""
        return shutil.which(self.name, path=os.environ.get("LARDER_PEERS") or None)

    def told_version(self, program: str) -> str:
        """Return name and version, as in `nginx 1.22.1`."""
        printed = subprocess.run([program, *self.version], capture_output=True, text=True, check=False, timeout=10)
        found = re.search(r"\bv?(\d[\w.+-]*)", re.sub(r"\x1b\[[0-9;]*m", "", printed.stdout + printed.stderr))
        return f"{self.name} {found[1] if found else 'of unknown version'}"


def _nginx(port: int, engine: int, folder: Path) -> list[str]:
    (folder / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_max_body_size 32m; client_body_buffer_size 8m; keepalive_requests 1000000000;
  upstream engine {{ server 127.0.0.1:{engine}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
""")
    return ["-p", str(folder), "-c", str(folder / "nginx.conf")]


def _olla(port: int, engine: int, folder: Path) -> list[str]:
    endless = 10**9
    config = {
        "server": {
            "host": "127.0.0.1",
            "port": port,
            "request_logging": False,
            "request_limits": {"max_body_size": 2**25, "max_header_size": 2**20},
            "rate_limits": {"global_requests_per_minute": 0, "per_ip_requests_per_minute": 0, "burst_size": endless},
        },
        "proxy": {"engine": "olla", "profile": "auto", "load_balancer": "priority"},
        "discovery": {
            "type": "static",
            "static": {
                "endpoints": [
                    {
                        "url": f"http://127.0.0.1:{engine}",
                        "name": "engine",
                        "type": "ollama",
                        "priority": 100,
                        "model_url": "/api/tags",
                        "health_check_url": "/",
                        "check_interval": "30s",
                        "check_timeout": "1s",
                    }
                ]
            },
        },
        "logging": {"level": "error"},
    }
    (folder / "olla.yaml").write_text(json.dumps(config))
    return ["--config", str(folder / "olla.yaml")]


def _llama_swap(port: int, engine: int, folder: Path) -> list[str]:
    model = {
        "cmd": "sleep 100000",
        "proxy": f"http://127.0.0.1:{engine}",
        "checkEndpoint": "none",
        "concurrencyLimit": 10_000,
        "useModelName": "small:latest",
    }
    config = {"logLevel": "error", "logToStdout": "none", "models": {"small": model}}
    (folder / "swap.yaml").write_text(json.dumps(config))
    return ["-config", str(folder / "swap.yaml"), "-listen", f"127.0.0.1:{port}"]


PEERS = (
    Peer("nginx", ("-v",), _nginx),
    Peer("olla", ("--version",), _olla, "/olla/ollama/v1/chat/completions", "small:latest"),
    Peer("llama-swap", ("-version",), _llama_swap),
)


def here() -> list[tuple[Peer, str]]:
    """Return the peers of this machine, with their programs."""
    return [(peer, program) for peer in PEERS if (program := peer.find())]


@contextlib.contextmanager
def running(peer: Peer, program: str, engine: int, folder: Path) -> Iterator[Target]:
    """Run a peer on core 0 before the engine at this port; yield when it accepts connections."""
    port = free_port()
    own = folder / peer.name
    own.mkdir()
    env = os.environ | {"OLLA_LOG_LEVEL": "error", "HOME": str(own)}
    with process(0, [program, *peer.configure(port, engine, own)], env, folder=own, port=port) as pid:
        yield Target(peer.name, port, pid, peer.path, peer.model)

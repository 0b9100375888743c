"""The address of the API server and our credentials, read from a kubeconfig."""

import base64
import binascii
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from testbed.plugin.refusals import NotSupportedError, RefusedError


@dataclass(frozen=True)
class Cluster:
    """One reachable-in-principle API server with credentials."""

    host: str
    port: int
    tls: ssl.SSLContext
    token: str | None
    server: str


def read(file: str, context: str = "") -> Cluster:
    """Return the cluster of a context, or of the current one."""
    config = _load(file)
    chosen = _named(config, "context", context or config.get("current-context", ""))
    cluster = _named(config, "cluster", chosen.get("cluster", ""))
    user = _named(config, "user", chosen["user"]) if chosen.get("user") else {}
    if others := [key for key in ("exec", "auth-provider", "username", "tokenFile") if user.get(key)]:
        raise NotSupportedError(f"users of a kubeconfig with {others[0]!r}")
    server = str(cluster.get("server", ""))
    url = urlsplit(server)
    if url.scheme != "https" or not url.hostname:
        raise RefusedError(f"cluster {chosen.get('cluster')!r}: server {server!r} is not an https URL")
    return Cluster(url.hostname, url.port or 443, _tls(cluster, user), user.get("token"), server)


def _load(file: str) -> dict[str, Any]:
    if os.pathsep in file:
        raise NotSupportedError("a kubeconfig that is not one file")
    try:
        config = yaml.safe_load(Path(file).expanduser().read_text())
    except OSError as error:
        raise RefusedError(f"no kubeconfig at {file}") from error
    except yaml.YAMLError as error:
        # The parser's own message quotes the text around the fault, which may be a key.
        raise RefusedError(f"{file} is not YAML") from error
    if not isinstance(config, dict):
        raise RefusedError(f"{file} is not a kubeconfig")
    return config


def _named(config: dict[str, Any], field: str, name: str) -> dict[str, Any]:
    entries = {entry.get("name"): entry.get(field) or {} for entry in config.get(f"{field}s") or []}
    if name not in entries:
        raise RefusedError(f"kubeconfig has no {field} {name!r}; known: {', '.join(map(str, entries)) or 'none'}")
    return entries[name]


def _tls(cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    tls = ssl.create_default_context()
    if authority := _pem(cluster, "certificate-authority"):
        tls.load_verify_locations(cadata=authority)
    certificate, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    if certificate and key:
        # ssl loads client certificates from files only: one of mode 0600 that is gone before the first request.
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as both:
            both.write(f"{certificate}\n{key}\n")
            both.flush()
            tls.load_cert_chain(both.name)
    return tls


def _pem(section: dict[str, Any], field: str) -> str | None:
    if data := section.get(f"{field}-data"):
        try:
            return base64.b64decode(data).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise RefusedError(f"{field}-data is not base64 of a PEM file") from error
    if path := section.get(field):
        try:
            return Path(path).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise RefusedError(f"{field}: cannot read {path}: {error}") from error
    return None

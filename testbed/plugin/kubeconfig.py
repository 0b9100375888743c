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


class KubeconfigError(Exception):
    """The kubeconfig cannot be used; the text says which part."""


@dataclass(frozen=True)
class Cluster:
    """One reachable-in-principle API server with credentials and the namespace for objects that name none."""

    host: str
    port: int
    tls: ssl.SSLContext
    token: str | None
    namespace: str
    server: str


def read(given: str | None, context: str | None, namespace: str | None) -> Cluster:
    """Return the cluster of a kubeconfig: of a file, else found as kubectl does ($KUBECONFIG, ~/.kube/config)."""
    config = _load(given)
    wanted = context or config.get("current-context")
    if not wanted:
        raise KubeconfigError("kubeconfig has no current-context; set kubernetes:context")
    entry = _named(config, "contexts", "context", wanted)
    cluster = _named(config, "clusters", "cluster", entry.get("cluster", ""))
    user = _named(config, "users", "user", entry["user"]) if entry.get("user") else {}
    server = str(cluster.get("server", ""))
    url = urlsplit(server)
    if url.scheme != "https" or not url.hostname:
        raise KubeconfigError(f"cluster {entry.get('cluster')!r}: server {server!r} is not an https URL")
    return Cluster(
        host=url.hostname,
        port=url.port or 443,
        tls=_tls(cluster, user),
        token=_token(user),
        namespace=namespace or entry.get("namespace") or "default",
        server=server,
    )


def _load(given: str | None) -> dict[str, Any]:
    candidates = [given] if given else [*os.environ.get("KUBECONFIG", "").split(os.pathsep), "~/.kube/config"]
    path = next((found for name in candidates if name and (found := Path(name).expanduser()).is_file()), None)
    if path is None:
        raise KubeconfigError(f"no kubeconfig at {given or '$KUBECONFIG or ~/.kube/config'}")
    try:
        config = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        # The parser's own message quotes the text around the fault, which may be a key.
        raise KubeconfigError(f"{path} is not YAML") from error
    if not isinstance(config, dict):
        raise KubeconfigError(f"{path} is not a kubeconfig")
    return config


def _named(config: dict[str, Any], group: str, field: str, name: str) -> dict[str, Any]:
    entries = config.get(group) or []
    for entry in entries:
        if entry.get("name") == name:
            return entry.get(field) or {}
    known = ", ".join(str(entry.get("name")) for entry in entries) or "none"
    raise KubeconfigError(f"kubeconfig has no {field} {name!r}; known: {known}")


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
            raise KubeconfigError(f"{field}-data is not base64 of a PEM file") from error
    if path := section.get(field):
        return Path(path).read_text()
    return None


def _token(user: dict[str, Any]) -> str | None:
    for helper in ("exec", "auth-provider", "username", "tokenFile"):
        if user.get(helper):
            raise KubeconfigError(f"the stand-in plugin takes client certificates and tokens, not {helper!r} users")
    token = user.get("token")
    return str(token) if token else None

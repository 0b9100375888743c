"""Certificates and kubeconfigs of the cluster, made with openssl. A dropped cluster takes its authority with it."""

import json
import subprocess
from pathlib import Path

from .layout import API_PORT, HOST, NODE

IDENTITIES = {
    "admin": "/O=system:masters/CN=larder-admin",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "proxy": "/CN=system:kube-proxy",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE}",
    "coredns": "/O=system:masters/CN=coredns",
}
"""Client certificates by name; the groups are the ones Kubernetes' own RBAC bindings expect."""
DAYS = "365"


def make(address: str) -> Path:
    """Make whatever is missing for an API server at `address`; return the admin kubeconfig."""
    folder = HOST / "pki"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (folder / "ca.crt").exists():
        _openssl(
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            DAYS,
            "-subj",
            "/CN=larder-ca",
            "-keyout",
            folder / "ca.key",
            "-out",
            folder / "ca.crt",
        )
    if not (folder / "sa.key").exists():
        _openssl("genrsa", "-out", folder / "sa.key", "2048")
    names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ]
    san = ",".join([f"DNS:{n}" for n in names] + [f"IP:{a}" for a in (address, "127.0.0.1", "10.96.0.1")])
    _sign(folder, "apiserver", "/CN=kube-apiserver", f"subjectAltName={san}")
    for name, subject in IDENTITIES.items():
        _sign(folder, name, subject)
        _kubeconfig(folder, name, address)
    return folder / "admin.kubeconfig"


def server(name: str, address: str) -> Path:
    """Make a certificate for a server at `address`, with its key beside it as .key."""
    folder = HOST / "pki"
    _sign(folder, name, f"/CN={name}", f"subjectAltName=IP:{address}")
    return folder / f"{name}.crt"


def _sign(folder: Path, name: str, subject: str, extra: str = "") -> None:
    key, request, certificate = (folder / f"{name}.{kind}" for kind in ("key", "csr", "crt"))
    if certificate.exists():
        return
    _openssl(
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        subject,
        "-keyout",
        key,
        "-out",
        request,
    )
    extensions = folder / f"{name}.ext"
    extensions.write_text("\n".join(filter(None, ["extendedKeyUsage=serverAuth,clientAuth", extra])))
    _openssl(
        "x509",
        "-req",
        "-in",
        request,
        "-CA",
        folder / "ca.crt",
        "-CAkey",
        folder / "ca.key",
        "-CAcreateserial",
        "-days",
        DAYS,
        "-extfile",
        extensions,
        "-out",
        certificate,
    )
    request.unlink()
    extensions.unlink()


def _kubeconfig(folder: Path, name: str, address: str) -> None:
    def inline(path: Path) -> str:
        return subprocess.run(["base64", "-w0", path], capture_output=True, text=True, check=True).stdout

    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "larder",
        "clusters": [
            {
                "name": "larder",
                "cluster": {
                    "server": f"https://{address}:{API_PORT}",
                    "certificate-authority-data": inline(folder / "ca.crt"),
                },
            }
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": inline(folder / f"{name}.crt"),
                    "client-key-data": inline(folder / f"{name}.key"),
                },
            }
        ],
        "contexts": [{"name": "larder", "context": {"cluster": "larder", "user": name}}],
    }
    target = folder / f"{name}.kubeconfig"
    target.touch(mode=0o600)
    target.write_text(json.dumps(config, indent=1))


def _openssl(*args: str | Path) -> None:
    subprocess.run(["openssl", *args], check=True, capture_output=True)

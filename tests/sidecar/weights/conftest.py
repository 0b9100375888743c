"""Fixtures of the fetch role."""

import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from testbed.hub.server import Hub as LocalHub
from tests.sidecar.weights.kitchen import Kitchen
from tests.sidecar.weights.registries import SmallRegistry, binary, real_registry


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    with ExitStack() as stack:
        yield Kitchen(tmp_path, stack)
    assert "lease" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip fsync: its effect shows only after a power cut, which no test here has."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.delenv("no_proxy", raising=False)  # Python prefers the lower-case name.
    monkeypatch.delenv("HF_TOKEN", raising=False)


def made_certificate(folder: Path, subject: str) -> Path:
    """A certificate for `subject`, as in DNS:hub.test; its key is beside it."""
    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("openssl is missing")
        pytest.skip("openssl is missing, which makes the certificate of this test")
    path = folder / "hub.pem"
    names = ["-subj", "/CN=hub", "-addext", f"subjectAltName={subject}"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{path}.key"]
    subprocess.run(["openssl", "req", "-x509", *key, "-out", path, *names], check=True, capture_output=True)
    return path


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return made_certificate(tmp_path, "IP:127.0.0.1")


@pytest.fixture
def tls_hub(kitchen: Kitchen, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> LocalHub:
    """A hub with a certificate of its own, which SSL_CERT_FILE names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return kitchen.hub(tls=context)


@pytest.fixture
def small() -> Iterator[SmallRegistry]:
    with SmallRegistry().running() as registry:
        yield registry


@pytest.fixture(params=["small", "docker-registry"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "small":
        yield request.getfixturevalue("small").host
    elif program := binary():
        with real_registry(program, tmp_path) as address:
            yield address
    elif os.environ.get("CI"):
        pytest.fail("no docker-registry: `make e2e` unpacks it")
    else:
        pytest.skip("no docker-registry: `make up` unpacks it")

"""Certificates are checked, and a private authority is one environment variable."""

import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from larder_sidecar.weights.errors import HubError, TransientError

from testbed.hub.server import Hub as LocalHub
from tests.sidecar.weights.kitchen import Kitchen


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("openssl is missing")
        pytest.skip("openssl is missing, which makes the certificate of this test")
    path = tmp_path / "hub.pem"
    subject = ["-subj", "/CN=hub", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{path}.key"]
    subprocess.run(["openssl", "req", "-x509", *key, "-out", path, *subject], check=True, capture_output=True)
    return path


def test_an_unknown_certificate_is_refused_and_a_trusted_one_works(
    kitchen: Kitchen, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = kitchen.publish()
    hub = LocalHub(kitchen.folder / "hub")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    hub.socket = context.wrap_socket(hub.socket, server_side=True)
    kitchen.stack.enter_context(hub)
    plan = kitchen.plan(hub.url.replace("http:", "https:"))

    with pytest.raises(HubError, match=r"TLS failed: SSLCertVerificationError.*SSL_CERT_FILE") as caught:
        kitchen.fetch(plan)
    assert not isinstance(caught.value, TransientError), "a bad certificate does not get better by itself"

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert kitchen.fetch(plan).fetched_bytes == it.bytes

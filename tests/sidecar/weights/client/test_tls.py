"""Certificates are checked, and a private authority is one environment variable."""

import pytest
from larder_sidecar.weights.errors import HubError, TransientError

from testbed.hub.server import Hub as LocalHub
from tests.sidecar.weights.kitchen import Kitchen


def test_an_unknown_certificate_is_refused_and_a_trusted_one_works(
    kitchen: Kitchen, tls_hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = kitchen.publish()
    plan = kitchen.plan(tls_hub.url)
    with monkeypatch.context() as without:
        without.delenv("SSL_CERT_FILE")
        with pytest.raises(HubError, match=r"TLS failed: SSLCertVerificationError.*SSL_CERT_FILE") as caught:
            kitchen.fetch(plan)
    assert not isinstance(caught.value, TransientError), "a bad certificate does not get better by itself"
    assert kitchen.fetch(plan).fetched_bytes == it.bytes

"""Where the API server is, and what makes a kubeconfig unusable."""

import base64
import json

import pytest

from testbed.plugin import kubeconfig
from testbed.plugin.kubeconfig import KubeconfigError

CONFIG = {
    "current-context": "one",
    "clusters": [
        {"name": "c1", "cluster": {"server": "https://10.0.0.1:6443", "insecure-skip-tls-verify": True}},
        {"name": "c2", "cluster": {"server": "https://two.example", "insecure-skip-tls-verify": True}},
        {"name": "c3", "cluster": {"server": "http://10.0.0.3"}},
    ],
    "users": [{"name": "u", "user": {"token": "t"}}, {"name": "x", "user": {"exec": {"command": "aws"}}}],
    "contexts": [
        {"name": "one", "context": {"cluster": "c1", "user": "u", "namespace": "ai"}},
        {"name": "two", "context": {"cluster": "c2", "user": "u"}},
        {"name": "plain", "context": {"cluster": "c3", "user": "u"}},
        {"name": "exec", "context": {"cluster": "c1", "user": "x"}},
    ],
}


def test_the_current_context_is_used_unless_one_is_named():
    one = kubeconfig.read(json.dumps(CONFIG), None, None)
    two = kubeconfig.read(json.dumps(CONFIG), "two", None)
    assert (one.host, one.port, one.token, one.namespace) == ("10.0.0.1", 6443, "t", "ai")
    assert (two.host, two.port, two.namespace) == ("two.example", 443, "default")


def test_the_provider_s_namespace_wins():
    assert kubeconfig.read(json.dumps(CONFIG), None, "other").namespace == "other"


def test_content_path_and_environment_are_the_same_to_us(tmp_path, monkeypatch):
    path = tmp_path / "config"
    path.write_text(json.dumps(CONFIG))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/missing:{path}")
    found = {kubeconfig.read(given, None, None).server for given in (json.dumps(CONFIG), str(path), None)}
    assert found == {"https://10.0.0.1:6443"}


@pytest.mark.parametrize(
    ("given", "context", "words"),
    [
        (json.dumps(CONFIG), "nine", "no context 'nine'; known: one, two, plain, exec"),
        (json.dumps(CONFIG), "plain", "is not an https URL"),
        (json.dumps(CONFIG), "exec", "not 'exec' users"),
        ("{}", None, "no current-context"),
        ("- a\n- b", None, "is not a kubeconfig"),
        ("/does/not/exist", None, "no kubeconfig at /does/not/exist"),
        ("a: [\nb", None, "is not YAML"),
    ],
)
def test_what_cannot_be_used_is_named(given, context, words):
    with pytest.raises(KubeconfigError, match=words):
        kubeconfig.read(given, context, None)


def test_a_broken_key_is_not_quoted():
    broken = CONFIG | {"users": [{"name": "u", "user": {"client-certificate-data": "geheim!"}}]}
    with pytest.raises(KubeconfigError) as caught:
        kubeconfig.read(json.dumps(broken), None, None)
    assert "client-certificate-data" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_data_wins_over_files_and_both_are_pem(tmp_path):
    entry = {"client-key-data": base64.b64encode(b"from data").decode(), "client-key": str(tmp_path / "missing")}
    assert kubeconfig._pem(entry, "client-key") == "from data"

"""The address of the API server, and unusable kubeconfigs."""

import base64
import json
from pathlib import Path

import pytest

from testbed.plugin import kubeconfig
from testbed.plugin.refusals import RefusedError

CONFIG = {
    "current-context": "one",
    "clusters": [
        {"name": "c1", "cluster": {"server": "https://10.0.0.1:6443"}},
        {"name": "c2", "cluster": {"server": "https://two.example"}},
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


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(json.dumps(CONFIG))
    return path


def test_the_current_context_is_used_unless_one_is_named(file: Path):
    one = kubeconfig.read(str(file))
    two = kubeconfig.read(str(file), "two")
    assert (one.host, one.port, one.token) == ("10.0.0.1", 6443, "t")
    assert (two.host, two.port) == ("two.example", 443)


@pytest.mark.parametrize("given", ["/one/config:/two/config", "users: [{name: u, user: {token: geheim}}]"])
def test_what_is_not_one_file_is_refused_and_not_quoted(given):
    with pytest.raises(RefusedError) as caught:
        kubeconfig.read(given)
    assert str(caught.value) == "not supported by the stand-in: a kubeconfig that is not one file"


@pytest.mark.parametrize(
    ("text", "context", "words"),
    [
        (json.dumps(CONFIG), "nine", "no context 'nine'; known: one, two, plain, exec"),
        (json.dumps(CONFIG), "plain", "is not an https URL"),
        (json.dumps(CONFIG), "exec", "not supported by the stand-in: users of a kubeconfig with 'exec'"),
        ("{}", "", "no context ''; known: none"),
        ("- a\n- b", "", "is not a kubeconfig"),
        ("a: [\nb", "", "is not YAML"),
    ],
)
def test_what_cannot_be_used_is_named(file: Path, text, context, words):
    file.write_text(text)
    with pytest.raises(RefusedError, match=words):
        kubeconfig.read(str(file), context)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(RefusedError, match="no kubeconfig at /does/not/exist"):
        kubeconfig.read("/does/not/exist")


def test_a_broken_key_is_not_quoted(file: Path):
    broken = CONFIG | {"users": [{"name": "u", "user": {"client-certificate-data": "geheim!"}}]}
    file.write_text(json.dumps(broken))
    with pytest.raises(RefusedError) as caught:
        kubeconfig.read(str(file))
    assert "client-certificate-data" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_data_wins_over_files_and_both_are_pem(tmp_path):
    entry = {"client-key-data": base64.b64encode(b"from data").decode(), "client-key": str(tmp_path / "missing")}
    assert kubeconfig._pem(entry, "client-key") == "from data"


def test_a_certificate_that_cannot_be_read_is_named(tmp_path):
    file = tmp_path / "config"
    file.write_text(
        "current-context: c\ncontexts: [{name: c, context: {cluster: c}}]\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:9', certificate-authority: /nowhere/ca.crt}}]\n"
    )
    with pytest.raises(RefusedError, match=r"certificate-authority: cannot read /nowhere/ca\.crt"):
        kubeconfig.read(str(file))

"""The local hub is held against the client that the real hub serves, and the tiny model against itself."""

import hashlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

from testbed.hub.faults import Faults
from testbed.hub.server import Hub as LocalHub
from testbed.hub.tiny_model import tiny_model
from tests.sidecar.weights.kitchen import ROOT, Kitchen

REPO = "larder/tiny-GGUF"
Download = Callable[..., Path]


@pytest.fixture
def download(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> Download:
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")

    def run(hub: LocalHub, name: str = "tiny.gguf", revision: str = "main", repo: str = REPO) -> Path:
        target = kitchen.folder / "downloaded"
        return Path(
            hf_hub_download(repo, name, revision=revision, endpoint=hub.url, local_dir=target, token=hub.token or False)
        )

    return run


def test_the_real_client_downloads_the_same_bytes(kitchen: Kitchen, download: Download) -> None:
    it = kitchen.publish(size=300_000)
    hub = kitchen.hub()
    for revision in ("main", it.revision):
        content = download(hub, revision=revision).read_bytes()
        assert hashlib.sha256(content).hexdigest() == it.sha256


def test_the_real_client_resumes_a_cut_body(kitchen: Kitchen, download: Download) -> None:
    """It keeps whole chunks of 10 MiB only."""
    it = kitchen.publish(size=12_000_000)
    hub = kitchen.hub(Faults(cut_after=11_000_000, cuts=1))
    assert hashlib.sha256(download(hub).read_bytes()).hexdigest() == it.sha256
    assert sum(hub.stats.bytes.values()) == 11_000_000 + it.bytes - 10 * 2**20


def test_the_real_client_follows_to_a_cdn_without_the_token(kitchen: Kitchen, download: Download) -> None:
    it = kitchen.publish()
    cdn = kitchen.hub()
    content = download(kitchen.hub(Faults(redirect=cdn.url), token="hf_secret")).read_bytes()
    assert hashlib.sha256(content).hexdigest() == it.sha256
    assert all(line.endswith(" -") for line in cdn.stats.log)


def test_the_real_client_reads_the_listings(kitchen: Kitchen) -> None:
    it = kitchen.publish()
    api = HfApi(endpoint=kitchen.hub().url, token=False)
    info = api.model_info(REPO)
    assert (info.sha, [s.rfilename for s in info.siblings or []]) == (it.revision, ["tiny.gguf"])
    assert api.list_repo_files(REPO) == ["tiny.gguf"]
    asked = api.get_paths_info(REPO, ["tiny.gguf", "other"], revision=it.revision)
    for (entry,) in (asked, list(api.list_repo_tree(REPO))):
        assert isinstance(entry, RepoFile)
        assert entry.lfs
        assert (entry.path, entry.size, entry.lfs.sha256) == ("tiny.gguf", it.bytes, it.sha256)


REFUSALS = {
    "repository": (Faults(), {"repo": "larder/none"}, RepositoryNotFoundError),
    "revision": (Faults(), {"revision": "f" * 40}, RevisionNotFoundError),
    "file": (Faults(), {"name": "TINY.gguf"}, EntryNotFoundError),
    "gated": (Faults(refuse=(403, "GatedRepo")), {}, GatedRepoError),
    "private": (Faults(refuse=(401, "RepoNotFound")), {}, RepositoryNotFoundError),
}


@pytest.mark.parametrize(("faults", "asked", "error"), REFUSALS.values(), ids=REFUSALS.keys())
def test_the_real_client_understands_refusals(
    kitchen: Kitchen, download: Download, faults: Faults, asked: dict[str, str], error: type[Exception]
) -> None:
    kitchen.publish()
    with pytest.raises(error):
        download(kitchen.hub(faults), **asked)


def test_stats_tell_what_was_served(kitchen: Kitchen) -> None:
    it = kitchen.publish()
    hub = kitchen.hub()
    kitchen.fetch(kitchen.plan(hub))
    with urllib.request.urlopen(f"{hub.url}/_stats") as answer:
        assert json.load(answer) == {"bytes": {f"{it.repo}/{it.path}": it.bytes}, "requests": 2}


@pytest.mark.parametrize(
    "path",
    [
        "/larder/tiny-GGUF/resolve/main/../refs/main",
        "/larder/tiny-GGUF/resolve/main/%2e%2e/refs/main",
        "/../x/resolve/main/y",
    ],
)
def test_nothing_outside_a_revision_is_served(kitchen: Kitchen, path: str) -> None:
    kitchen.publish()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(kitchen.hub().url + path)


def test_the_tiny_model_is_the_same_everywhere_and_every_seed_another() -> None:
    content = b"".join(tiny_model())
    assert hashlib.sha256(content).hexdigest() == "ca1bf73dc29be27c9cce0105a4731c7cb22a1e1f02d59d0c22f550d38f1d80c8"
    assert b"".join(tiny_model(1)) != content
    stretched = b"".join(tiny_model(size=2_500_000))
    assert len(stretched) == 2_500_000
    assert stretched.startswith(content)


def test_the_command_line_makes_and_serves(kitchen: Kitchen) -> None:
    """On the standard library alone: `-S` and `-I` leave everything installed out."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from testbed.hub.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-I", "-S", "-c", program]
    root = str(kitchen.folder / "hub")
    made = json.loads(subprocess.check_output([*command, "make", "--root", root, "--seed", "3"], text=True))
    assert made["repo"] == "larder/tiny-random-GGUF"
    serve = [*command, "serve", "--root", root, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as server:
        try:
            assert server.stdout
            url = f"{server.stdout.readline().strip()}/{made['repo']}/resolve/{made['revision']}/{made['path']}"
            with urllib.request.urlopen(url) as answer:
                assert hashlib.sha256(answer.read()).hexdigest() == made["sha256"]
        finally:
            server.terminate()
        assert server.wait(5) == 0

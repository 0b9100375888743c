"""The official CLI is preferred wherever it can be had, and is what its release says it is."""

import hashlib
import io
import tarfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from dev import pulumi
from dev.progress import CommandError
from dev.toolchain import tools
from dev.toolchain.build import Tool

VERSION = tools.pinned("pulumi", "github.com/pulumi/pulumi/pkg/v3")
NAME = f"pulumi-{VERSION}-linux-x64.tar.gz"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def release(tmp_path, monkeypatch):
    """A release as the real site lays it out, on loopback; the files that `publish` wrote."""
    folder = tmp_path / "site" / VERSION
    folder.mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "site")))
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(pulumi, "RELEASES", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(pulumi, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(pulumi, "LOG", tmp_path / "log")
    monkeypatch.setattr("os.uname", lambda: type("Machine", (), {"machine": "x86_64"}))
    monkeypatch.setattr(Tool, "home", tmp_path / "nothing-built")

    def publish(*, checksum: str | None = None) -> None:
        with tarfile.open(folder / NAME, "w:gz") as archive:
            program = tarfile.TarInfo("pulumi/pulumi")
            program.size = 4
            archive.addfile(program, io.BytesIO(b"#!/x"))
        right = hashlib.sha256((folder / NAME).read_bytes()).hexdigest()
        (folder / f"pulumi-{VERSION.removeprefix('v')}-checksums.txt").write_text(f"{checksum or right}  {NAME}\n")

    yield publish
    server.shutdown()
    server.server_close()


def test_a_release_that_answers_is_downloaded_once(release):
    release()
    first = pulumi._downloaded()
    assert first is not None
    assert first.endswith(f"pulumi-official-{VERSION}/pulumi")
    assert pulumi._downloaded() == first


def test_an_archive_with_another_checksum_is_not_unpacked(release, tmp_path):
    release(checksum="0" * 64)
    with pytest.raises(CommandError, match="sha256sum"):
        pulumi._downloaded()
    assert not (tmp_path / "cache" / f"pulumi-official-{VERSION}").exists()


def test_where_no_release_answers_the_cli_is_built(release, monkeypatch):
    monkeypatch.setattr(pulumi, "RELEASES", "http://127.0.0.1:9")
    assert pulumi._downloaded() is None

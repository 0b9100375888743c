"""A blob goes in parts: what arrived is not sent again, whoever ended, and a registry without parts gets the whole."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from larder_sidecar.weights.errors import ContentError, DeniedError, TransientError
from larder_sidecar.weights.progress import Reporter
from larder_sidecar.weights.publish.layer import LAYER, Descriptor
from larder_sidecar.weights.publish.registry import Registry
from larder_sidecar.weights.publish.upload import Content, Uploads
from larder_sidecar.weights.publish.upload_state import UPLOADS, UploadStates

from tests.sidecar.weights.kitchen import PATIENCE, ROOT
from tests.sidecar.weights.registries import SmallRegistry, binary, real_registry

BLOB = bytes(range(256)) * 4096 * 5  # 5 MiB
CHUNK = 1 << 20
DESCRIPTOR = Descriptor(LAYER, f"sha256:{hashlib.sha256(BLOB).hexdigest()}", len(BLOB))
THERE = f"/v2/team/x/blobs/{DESCRIPTOR.digest}"


def source(content: bytes = BLOB, *, dies_at: int = sys.maxsize) -> Content:
    """A blob whose reader dies as a process does, where it is told to."""

    def chunks(start: int) -> Iterator[bytes]:
        for at in range(start, len(content), 1 << 18):
            if at >= dies_at:
                raise KeyboardInterrupt
            yield content[at : at + (1 << 18)]

    return chunks


def push(
    host: str,
    store: Path,
    content: Content | None = None,
    *,
    chunk: int = CHUNK,
    siblings: tuple[str, ...] = (),
    log: io.StringIO | None = None,
) -> int:
    with Registry(host, plain_http=True) as registry, UploadStates(store) as sessions:
        uploads = Uploads(registry, sessions, Reporter(log or io.StringIO()), PATIENCE, chunk)
        return uploads.push("team/x", DESCRIPTOR, content or source(), siblings)


def test_a_blob_goes_in_parts_and_one_that_is_there_not_at_all(small: SmallRegistry, tmp_path: Path) -> None:
    assert push(small.host, tmp_path) == len(BLOB)
    assert small.stored[THERE] == BLOB
    assert len(small.asked("PATCH")) == 5
    assert push(small.host, tmp_path) == 0
    assert len(small.asked("PATCH")) == 5
    assert list((tmp_path / UPLOADS).glob("*.json")) == []


def test_a_blob_no_larger_than_a_part_goes_at_once(small: SmallRegistry, tmp_path: Path) -> None:
    assert push(small.host, tmp_path, chunk=len(BLOB)) == len(BLOB)
    assert (small.asked("PATCH"), small.stored[THERE]) == ([], BLOB)


@pytest.mark.parametrize("kept", [0, 1000, CHUNK - 1])
def test_a_registry_that_dies_in_a_part_gets_the_rest_of_it(small: SmallRegistry, tmp_path: Path, kept: int) -> None:
    small.cuts = [kept]
    log = io.StringIO()
    assert push(small.host, tmp_path, log=log) == len(BLOB)
    assert small.stored[THERE] == BLOB
    resumed = next(json.loads(line) for line in log.getvalue().splitlines() if "resumed" in line)
    assert resumed["bytes"] == kept
    assert len(small.asked("POST")) == 1


def test_a_registry_that_never_gets_further_is_given_up(small: SmallRegistry, tmp_path: Path) -> None:
    small.cuts = [0] * 9
    with pytest.raises(TransientError, match="connection lost"):
        push(small.host, tmp_path)


def test_the_next_run_goes_on_where_one_was_killed(small: SmallRegistry, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        push(small.host, tmp_path, source(dies_at=3 * CHUNK))
    read: list[int] = []

    def watched(start: int) -> Iterator[bytes]:
        read.append(start)
        return source()(start)

    assert push(small.host, tmp_path, watched) == len(BLOB)
    assert read == [3 * CHUNK]
    assert len(small.asked("POST")) == 1
    assert small.stored[THERE] == BLOB


def test_an_upload_that_the_registry_has_forgotten_begins_anew(small: SmallRegistry, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        push(small.host, tmp_path, source(dies_at=3 * CHUNK))
    small.uploads.clear()
    assert push(small.host, tmp_path) == len(BLOB)
    assert small.stored[THERE] == BLOB


@pytest.mark.parametrize("status", [404, 405, 416, 501])
def test_a_registry_without_parts_gets_the_whole(small: SmallRegistry, tmp_path: Path, status: int) -> None:
    small.no_parts = status
    assert push(small.host, tmp_path) == len(BLOB)
    assert small.stored[THERE] == BLOB
    assert len(small.asked("PATCH")) == 1


def test_a_registry_that_does_not_say_how_much_it_has_is_believed_to_have_it(
    small: SmallRegistry, tmp_path: Path
) -> None:
    small.silent = True
    assert push(small.host, tmp_path) == len(BLOB)
    assert len(small.asked("PATCH")) == 5


def test_a_registry_that_gives_tokens_to_everybody_is_asked_for_one(small: SmallRegistry, tmp_path: Path) -> None:
    small.wants, small.tokens = "Bearer abc", {"": "abc"}
    small.challenge = f'Bearer realm="http://{small.host}/token",service="small",scope="repository:team/x:pull,push"'
    assert push(small.host, tmp_path) == len(BLOB)
    assert small.asked("GET") == ["/token?service=small&scope=repository%3Ateam%2Fx%3Apull%2Cpush"]


def test_a_token_that_runs_out_on_the_way_is_renewed(small: SmallRegistry, tmp_path: Path) -> None:
    small.wants, small.tokens = "Bearer abc", {"": "abc"}
    small.challenge = f'Bearer realm="http://{small.host}/token"'

    def aging(start: int) -> Iterator[bytes]:
        for at, chunk in zip(range(start, len(BLOB), 1 << 18), source()(start), strict=True):
            if at == 2 * CHUNK:
                small.wants, small.tokens = "Bearer new", {"": "new"}
            yield chunk

    assert push(small.host, tmp_path, aging) == len(BLOB)
    assert small.stored[THERE] == BLOB
    assert len(small.asked("POST")) == 1


def test_who_gets_no_token_is_told_what_to_pass(small: SmallRegistry, tmp_path: Path) -> None:
    small.wants, small.challenge = "Bearer abc", f'Bearer realm="http://{small.host}/token"'
    with pytest.raises(
        DeniedError, match=r"/token: the token service gives no token \(401\)\. Pass --credentials-file"
    ):
        push(small.host, tmp_path)


def test_what_a_sibling_repository_has_is_taken_over(small: SmallRegistry, tmp_path: Path) -> None:
    small.put("team/y", BLOB)
    assert push(small.host, tmp_path, siblings=("team/absent", "team/y")) == 0
    assert small.stored[THERE] == BLOB
    assert (small.asked("PATCH"), small.asked("PUT")) == ([], [])


def test_bytes_that_are_not_the_digest_are_refused_and_not_resumed(small: SmallRegistry, tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=r"DIGEST_INVALID.*fetch --verify"):
        push(small.host, tmp_path, source(bytes(len(BLOB))))
    assert THERE not in small.stored
    assert push(small.host, tmp_path) == len(BLOB)


def test_of_two_at_once_only_one_goes_on_with_what_is_there(small: SmallRegistry, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        push(small.host, tmp_path, source(dies_at=2 * CHUNK))
    with UploadStates(tmp_path):
        assert push(small.host, tmp_path) == len(BLOB)
    assert len(small.asked("POST")) == 2
    assert small.stored[THERE] == BLOB


def test_a_store_that_may_not_be_written_is_pushed_all_the_same(small: SmallRegistry, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    small.cuts = [1000]
    assert push(small.host, tmp_path / "file") == len(BLOB)
    assert small.stored[THERE] == BLOB


def test_an_address_of_an_upload_is_for_nobody_else(small: SmallRegistry, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        push(small.host, tmp_path, source(dies_at=2 * CHUNK))
    assert (tmp_path / UPLOADS).stat().st_mode & 0o077 == 0


PROCESS = """
import io, sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from tests.sidecar.weights.publish import test_upload
test_upload.push(sys.argv[1], Path(sys.argv[2]), test_upload.dripping())
"""


def dripping() -> Content:
    """A source slow enough to be killed in the middle."""

    def chunks(start: int) -> Iterator[bytes]:
        for chunk in source()(start):
            time.sleep(0.05)
            yield chunk

    return chunks


def test_a_killed_process_is_followed_by_one_that_ends_it_at_a_real_registry(tmp_path: Path) -> None:
    program = binary()
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("no docker-registry: `make e2e` unpacks it")
        pytest.skip("no docker-registry: `make up` unpacks it")
    store = tmp_path / "store"
    with real_registry(program, tmp_path) as host:
        command = [sys.executable, "-c", PROCESS, host, str(store), str(ROOT), str(ROOT / "sidecar")]
        process = subprocess.Popen(command, env={"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"})
        deadline = time.monotonic() + 20
        while not list((store / UPLOADS).glob("*.json")):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        log = io.StringIO()
        assert push(host, store, log=log) == len(BLOB)
        assert push(host, store) == 0
    assert all(json.loads(line)["event"] in {"resumed", "retry"} for line in log.getvalue().splitlines())


def test_patience_counts_attempts_without_a_new_byte(small: SmallRegistry, tmp_path: Path) -> None:
    small.cuts = [CHUNK - 1] * 4
    with Registry(small.host, plain_http=True) as registry, UploadStates(tmp_path) as sessions:
        patience = replace(PATIENCE, failures=2)
        uploads = Uploads(registry, sessions, Reporter(io.StringIO()), patience, CHUNK)
        assert uploads.push("team/x", DESCRIPTOR, source()) == len(BLOB)
    assert small.stored[THERE] == BLOB


@pytest.mark.parametrize("scheme", ["http", "https", "file"])
def test_an_upload_that_others_say_goes_on_elsewhere_does_not(
    small: SmallRegistry, tmp_path: Path, scheme: str
) -> None:
    with SmallRegistry().running() as thief:
        with pytest.raises(KeyboardInterrupt):
            push(small.host, tmp_path, source(dies_at=2 * CHUNK))
        (session,) = (tmp_path / UPLOADS).glob("*.json")
        told = json.loads(session.read_text())
        session.write_text(json.dumps(told | {"location": f"{scheme}://{thief.host}/v2/team/x/blobs/uploads/1"}))
        assert push(small.host, tmp_path) == len(BLOB)
        assert small.stored[THERE] == BLOB
        assert not [line for method in ("GET", "PATCH", "PUT") for line in thief.asked(method)]

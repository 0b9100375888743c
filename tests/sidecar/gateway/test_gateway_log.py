"""A log without a reader loses lines, never requests."""

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator

import pytest
from larder_sidecar import log as module
from larder_sidecar.log import Descriptor, Log

from tests.sidecar.gateway.conftest import CHAT, Start
from tests.sidecar.gateway.scripted import WAIT, ask, until

PAGE = 4096


class Pipe:
    """A log's pipe and its reader."""

    def __init__(self) -> None:
        self.out, self.into = os.pipe()
        fcntl.fcntl(self.into, fcntl.F_SETPIPE_SZ, PAGE)
        os.set_blocking(self.out, False)
        self.text = ""

    def read(self) -> str:
        while True:
            try:
                self.text += os.read(self.out, PAGE).decode()
            except BlockingIOError:
                return self.text

    def close(self) -> None:
        for end in (self.out, self.into):
            if end >= 0:
                os.close(end)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


async def test_a_log_without_a_reader_blocks_no_request(
    start: Start, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 3000)
    async with start(Log("info", Descriptor(pipe.into), delay=0)) as gateway:
        for _ in range(60):
            assert (await ask(gateway.port, CHAT, b"{}")).status == 200
        await until(lambda: b"larder_log_lines_dropped_total 0.0" not in gateway.metrics.text(), "lines to be dropped")
        await until(lambda: "missing" in pipe.read(), "the log to go on")
        lines = [json.loads(line) for line in pipe.text.splitlines()]
        requests = sum(line["message"] == "request" for line in lines)
        assert lines[-1]["lines"] == 60 - requests > 0
        assert f"larder_log_lines_dropped_total {60 - requests:.1f}".encode() in gateway.metrics.text()


async def test_a_log_whose_reader_has_gone_is_reported_once(
    start: Start, pipe: Pipe, capfd: pytest.CaptureFixture[str]
) -> None:
    os.close(pipe.out)
    pipe.out = -1
    async with start(Log("info", Descriptor(pipe.into), delay=0)) as gateway:
        for _ in range(3):
            assert (await ask(gateway.port, CHAT, b"{}")).status == 200
        await until(lambda: b"larder_log_lines_dropped_total 3.0" in gateway.metrics.text(), "lines to be counted")
    assert capfd.readouterr().err == "stdout cannot be written (Broken pipe): serving on without a log\n"


def test_the_last_lines_wait_a_moment_for_their_reader(pipe: Pipe) -> None:
    log = Log("info", Descriptor(pipe.into))
    for number in range(100):
        log.say("info", "x" * 100, number=number)
    assert pipe.read().count("\n") < 100

    def read() -> None:
        while pipe.read().count("\n") < 100:
            time.sleep(0.001)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    log.close()
    reader.join(WAIT)
    assert pipe.text.count("\n") == 100

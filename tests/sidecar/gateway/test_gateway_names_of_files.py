"""Files whose names are not valid in headers, logs or metrics affect no other file."""

import json
import os
from pathlib import Path

import pytest
from larder_sidecar.gateway.metrics import Metrics
from larder_sidecar.gateway.request import GatewayRequest
from larder_sidecar.http.headers import header_value
from larder_sidecar.log import Log
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from tests.sidecar.gateway.conftest import CHAT, Lines, Start
from tests.sidecar.gateway.scripted import Engine, ask, connect, request

NAMES = {
    "not UTF-8": b"caf\xe9",
    "header": b"x\r\nset-cookie: evil=1\r\n",
    "quote": b'a"b',
    "backslash": rb"a\b",
    "escape": b"\x1b[31m",
    "é": "é語😀".encode(),
    "percent": b"a%0d%0ab",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_a_request_for_it_is_answered_logged_and_counted(
    start: Start, engine: Engine, log: Lines, tmp_path: Path, name: bytes
) -> None:
    (tmp_path / "models").mkdir()
    os.close(os.open(os.fsencode(tmp_path / "models") + b"/" + name + b".gguf", os.O_CREAT))
    (tmp_path / "token").write_text("let-me-0123456789")
    engines = [{"kind": "llama-server", "url": engine.url}]
    pulls = {"folder": str(tmp_path / "models"), "endpoint": "http://127.0.0.1:1"}
    auth = {"token-file": str(tmp_path / "token")}
    async with start(engines=engines, pulls=pulls, auth=auth) as gateway, connect(gateway.port) as client:
        body = json.dumps({"model": os.fsdecode(name)}).encode()
        await client.send(request(CHAT, body) + request(CHAT, b'{"model":"tiny"}'))
        for allowed in ((200, 404), (200,)):
            response = await client.response()
            assert response.status in allowed
            assert not response["set-cookie"]
            assert all(value.isascii() for _, value in response.headers)
        told = (await ask(gateway.admin_port, "/metrics", method="GET")).body.decode()
        families = [*text_string_to_metric_families(told)]
        assert sum(s.value for f in families if f.name == "larder_requests" for s in f.samples) >= 2
    lines = [json.loads(line) for line in log.text.splitlines()]
    assert [line["status"] for line in lines if line["message"] == "request"][-1] == 200


@pytest.mark.parametrize("name", [*map(os.fsdecode, NAMES.values()), "\ud800\r\n", "", "x" * 5000])
def test_a_header_is_one_line_of_printable_ascii(name: str) -> None:
    value = header_value(name).decode("ascii")
    assert value == "" or value.isprintable()


def test_a_plain_name_stays_unchanged() -> None:
    assert header_value("hf.co/org/Model-7B:Q4_K_M 100%") == b"hf.co/org/Model-7B:Q4_K_M 100%"


class Strange:
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize("value", [Strange(), {(1, 2): 3}, float("nan"), b"\xff", "\udce9", Path("\udce9")])
def test_an_invalid_value_loses_at_most_its_line(log: Lines, value: object) -> None:
    written = Log("info", log)
    written.say("info", "a")
    written.say("info", "b", value=value)
    written.say("info", "c")
    written.close()
    said = [json.loads(line)["message"] for line in log.text.splitlines()]
    assert (said[0], said[-1]) == ("a", "c")
    assert len(said) + written.dropped == 3


def test_lines_that_wait_to_be_written_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck:
        def write(self, data: bytes, /) -> int:
            return 0

    monkeypatch.setattr(Log, "_later", lambda self, seconds: None)
    log = Log("info", Stuck())
    for _ in range(20_000):
        log.say("info", "x" * 1000)
    assert log.dropped > 18_000


def test_a_metric_that_fails_to_render_affects_no_other() -> None:
    class Broken:
        def collect(self):
            raise RuntimeError

    class Odd:
        def collect(self):
            family = GaugeMetricFamily("odd", "Odd.", labels=["model"])
            family.add_metric(["caf\udce9"], 1)
            yield family

    metrics = Metrics()
    metrics.gauge("fails", "Fails.", lambda: 1 / 0)
    metrics.also(Broken())
    metrics.also(Odd())
    metrics.gauge("holds", "Holds.", lambda: 7)
    metrics.request("chat", "caf\udce9", "200", 1)
    text = metrics.text().decode()
    assert "holds 7.0" in text
    assert 'odd{model="caf\\\\udce9"} 1.0' in text
    assert "larder_metrics_failed_total 2.0" in text
    assert 'model="caf\\\\udce9"' in text


@pytest.mark.parametrize("field", ["model", "rule", "code"])
@pytest.mark.parametrize("value", [*map(os.fsdecode, NAMES.values())], ids=NAMES)
def test_the_line_of_a_request_is_json_whatever_it_names(log: Lines, field: str, value: str) -> None:
    asked = GatewayRequest()
    setattr(asked, field, value)
    written = Log("info", log)
    written.request(asked, b"req-1", 0.1)
    written.close()
    assert json.loads(log.text)[field] == value

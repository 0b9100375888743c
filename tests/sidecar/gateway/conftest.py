"""The real gateway on its production event loop, in front of a scripted engine."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.gateway.serve import Running, running
from larder_sidecar.log import Log

from tests.sidecar.gateway.holding import Holding, holding
from tests.sidecar.gateway.resident import MODELS as RESIDENT
from tests.sidecar.gateway.resident import TOKEN, With
from tests.sidecar.gateway.scripted import Engine

CHAT = "/v1/chat/completions"
MODELS = [
    {"id": "tiny", "engine-name": "tiny:q4", "aliases": ["gpt-3.5-turbo"]},
    {"id": "phi-3-mini", "engine-name": "Phi3", "aliases": []},
]

Start = Callable[..., AbstractAsyncContextManager[Running]]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], Any]]:
    return {"uvloop": uvloop.new_event_loop}


class Lines:
    """A log in memory."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, data: bytes, /) -> int:
        self.text += data.decode()
        return len(data)


@pytest.fixture
def log() -> Lines:
    return Lines()


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine()
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture
def start(engine: Engine, log: Lines) -> Start:
    """Start a gateway with other limits or settings than the default ones."""

    @contextlib.asynccontextmanager
    async def starting(
        other: Log | None = None, file: Path | None = None, **settings: object
    ) -> AsyncIterator[Running]:
        config = GatewayConfig.model_validate(
            {
                "listen": "127.0.0.1:0",
                "admin": "127.0.0.1:0",
                "engines": [{"kind": "ollama", "url": engine.url}],
                "models": MODELS,
                "routing": {"default": "tiny"},
                **settings,
            }
        )
        if file:
            _write(file, config)
        async with running(config, other or Log("debug", log, delay=0), file) as gateway:
            yield gateway

    return starting


def _write(file: Path, config: GatewayConfig) -> None:
    file.write_text(config.to_json())


@pytest.fixture
async def gateway(start: Start) -> AsyncIterator[Running]:
    async with start() as gateway:
        yield gateway


@pytest.fixture
def ollama(engine: Engine) -> Holding:
    return holding(engine)


@pytest.fixture
def resident(start: Start, ollama: Holding, tmp_path: Path) -> With:
    """Start a gateway with residency; `ssd` with one slot unless the test sets others."""
    token = tmp_path / "token"
    token.write_text(TOKEN)

    def starting(
        file: Path | None = None,
        limits: dict[str, object] | None = None,
        cors: dict[str, object] | None = None,
        **rules: object,
    ) -> AbstractAsyncContextManager[Running]:
        residency = {"strategy": "ssd", "min-residency": 0, **rules}
        auth = {"token-file": str(token)}
        more = {"limits": limits or {}, "cors": cors or {}}
        return start(file=file, models=RESIDENT, routing={}, residency=residency, auth=auth, **more)

    return starting

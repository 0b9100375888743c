"""A gateway with residency in front of an engine that holds models, with requests and checks."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from larder_sidecar.gateway.serve import Running

from tests.sidecar.gateway.scripted import Response, ask

MODELS = [{"id": name, "engine-name": f"{name}:latest"} for name in ("a", "b", "c")]
TOKEN = "let-me-0123456789"
BEARER = f"Content-Type: application/json\r\nAuthorization: Bearer {TOKEN}\r\n"
With = Callable[..., AbstractAsyncContextManager[Running]]


def chat(model: str, **more: object) -> bytes:
    return json.dumps({"model": model, "messages": [], **more}).encode()


async def asked(running: Running, model: str, path: str = "/v1/chat/completions", **more: object) -> Response:
    return await ask(running.port, path, chat(model, **more))


async def stats(running: Running) -> dict[str, Any]:
    return (await ask(running.port, "/api/llm/stats", method="GET")).json()


async def phase(running: Running, model: str) -> str:
    (found,) = (one for one in (await stats(running))["models"] if one["model"] == model)
    return str(found["phase"])


async def waiting(running: Running, count: int) -> None:
    for _ in range(200):
        if (await stats(running))["waiting"] == count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(await stats(running))

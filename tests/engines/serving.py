"""The gateway on a loop of its own, for clients that block."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.gateway.serve import running
from larder_sidecar.log import Log


@contextmanager
def serving(**settings: object) -> Iterator[str]:
    """Its URL; `settings` are those of gateway.json."""
    config = GatewayConfig.model_validate({"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", **settings})
    loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    ports: list[int] = []

    async def serve() -> None:
        async with running(config, Log("error")) as gateway:
            ports.append(gateway.port)
            ready.set()
            await over.wait()
        await asyncio.sleep(0)  # a connection that was closed is let go in the next turn of the loop

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield f"http://127.0.0.1:{ports[0]}"
    loop.call_soon_threadsafe(over.set)
    thread.join(10)
    loop.close()

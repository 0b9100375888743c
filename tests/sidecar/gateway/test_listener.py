"""Listening addresses of the gateway, and its shutdown."""

import asyncio
import socket
from typing import cast

import pytest
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.http.listener import Listener, ListenError

from tests.sidecar.gateway.scripted import WAIT
from tests.sidecar.gateway.test_gateway_process import GOOD

HAS_IPV6 = socket.has_dualstack_ipv6()


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        client = cast("asyncio.WriteTransport", transport)
        client.write(b"hello")
        client.close()


async def greeted(host: str, port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    said = await asyncio.wait_for(reader.read(), WAIT)
    writer.close()
    return said == b"hello"


def default(key: str) -> str:
    address = getattr(GatewayConfig.model_validate({k: v for k, v in GOOD.items() if k != key}), key)
    return str(address.rpartition(":")[0])


@pytest.mark.parametrize("key", ["listen", "admin"])
@pytest.mark.skipif(not HAS_IPV6, reason="this kernel has no IPv6")
async def test_by_default_both_families_are_served(key: str) -> None:
    """The kubelet probes the pod's address, which is IPv6 in an IPv6-only cluster."""
    listener = await Listener.open(key, f"{default(key)}:0", Greeter)
    assert [await greeted(host, listener.port) for host in ("127.0.0.1", "::1")] == [True, True]
    listener.close()


async def test_a_kernel_without_ipv6_is_served_over_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    listener = await Listener.open("listen", "[::]:0", Greeter)
    assert await greeted("127.0.0.1", listener.port)
    listener.close()


async def test_an_ipv4_address_means_ipv4_alone() -> None:
    listener = await Listener.open("listen", "0.0.0.0:0", Greeter)
    assert [await greeted(host, listener.port) for host in ("127.0.0.1", "::1")] == [True, False]
    listener.close()


async def test_a_foreign_address_is_reported() -> None:
    with pytest.raises(
        ListenError, match=r"^admin: cannot listen on 192\.0\.2\.1:80: Cannot assign requested address$"
    ):
        await Listener.open("admin", "192.0.2.1:80", Greeter)


async def test_connections_in_the_kernels_queue_are_accepted_before_the_end() -> None:
    listener = await Listener.open("listen", "127.0.0.1:0", Greeter)
    # The kernel accepts without the loop's doing: these three are connected and the loop has not seen them.
    waiting = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(3)]
    await listener.retire()
    assert not await greeted("127.0.0.1", listener.port)
    for client in waiting:
        with client:
            assert await asyncio.to_thread(client.recv, 100) == b"hello"

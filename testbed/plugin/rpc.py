"""The gRPC edge: serving on a loopback port, talking back to the engine, and errors in the form Pulumi reads."""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent import futures
from typing import Any, Final, Protocol

import grpc
from google.protobuf import any_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, status_pb2

from testbed.plugin.values import Manifest, encode

# Pulumi's own limit for messages of its plugins.
_OPTIONS: Final = [("grpc.max_receive_message_length", 400 << 20), ("grpc.max_send_message_length", 400 << 20)]
GRACE: Final = 1.0  # seconds for answers that are on their way
LOOK_SECONDS: Final = 0.5  # between two looks at whether the CLI is there
WORKERS: Final = 64  # each wait holds one thread; Pulumi runs 4 operations a CPU at once


class InitFailedError(Exception):
    """The object exists and its state must be kept, but it did not become ready."""

    def __init__(self, object_id: str, message: str, reasons: list[str], outputs: Manifest, inputs: Manifest) -> None:
        super().__init__(message)
        self.detail = provider_pb2.ErrorResourceInitFailed(
            id=object_id, reasons=reasons, properties=encode(outputs), inputs=encode(inputs)
        )


class RefusedError(Exception):
    """The request cannot be served; the text says why."""


class NotOfferedError(Exception):
    """The stand-in does not have this function."""


class Context(Protocol):
    """The part of a gRPC call that is used here."""

    def abort(self, code: Any, details: str) -> None:  # noqa: ANN401 - grpc.StatusCode has no types
        """End the call with an error."""

    def set_trailing_metadata(self, metadata: tuple[tuple[str, bytes], ...]) -> None:
        """Send details beside the error."""


def answers(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Context], Any]:
    """Make `method(self, request)` a gRPC handler whose exceptions reach the user as Pulumi shows errors."""

    def handler(self: Any, request: Any, context: Context) -> Any:  # noqa: ANN401 - protobuf has no common type
        try:
            return method(self, request)
        except InitFailedError as error:
            detail = any_pb2.Any()
            detail.Pack(error.detail)
            status = status_pb2.Status(code=2, message=str(error), details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except NotOfferedError as error:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, str(error))
        except RefusedError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:  # noqa: BLE001 - a fault of this plugin: say where, not what values it held
            frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[-4:])
            context.abort(grpc.StatusCode.INTERNAL, f"stand-in plugin: {type(error).__name__}\n{''.join(frames)}")

    return handler


class Engine:
    """The engine's log. Safe to use from many threads; without an address it stays silent."""

    def __init__(self) -> None:
        self._stub: Any = None
        self._lock = threading.Lock()
        self._last: dict[str, str] = {}

    def connect(self, address: str) -> None:
        """Log to the engine at this address from now on."""
        if address:
            self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address, options=_OPTIONS))

    def debug(self, message: str) -> None:
        """Log a line for `--debug` only."""
        self._log(engine_pb2.DEBUG, "", message)

    def warn(self, urn: str, message: str) -> None:
        """Log a warning in the diagnostics."""
        self._log(engine_pb2.WARNING, urn, message)

    def status(self, urn: str, message: str) -> None:
        """Set the progress line of one resource; send repeated words once."""
        with self._lock:
            if self._last.get(urn, "") == message:
                return
            self._last[urn] = message
        self._log(engine_pb2.INFO, urn, message, ephemeral=True)

    def _log(self, severity: Any, urn: str, message: str, *, ephemeral: bool = False) -> None:  # noqa: ANN401 - enum
        if self._stub is None:
            return
        request = engine_pb2.LogRequest(severity=severity, urn=urn, message=message, ephemeral=ephemeral)
        try:
            self._stub.Log(request, timeout=10)
        except grpc.RpcError:
            # The engine may be gone already; a log line is no reason to fail the operation it tells about.
            return


def serve(register: Callable[[Any], None]) -> None:
    """Serve what `register` adds on a free loopback port and print the port; end when the CLI sends SIGINT or SIGTERM.

    The CLI starts plugins in a process group of their own, so a Ctrl-C at the terminal does not come here: it cancels
    by the protocol, sends SIGINT when it is done, and kills what has not ended 5 s later. A CLI that was killed itself
    sends nothing: that this process has another parent then is all there is to see.
    """
    ended = threading.Event()
    cli = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=WORKERS), options=_OPTIONS)
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while os.getppid() == cli and not ended.wait(LOOK_SECONDS):
        pass
    server.stop(grace=GRACE).wait()
    sys.stderr.flush()
    os._exit(0)  # a thread that still waits for a cluster or runs a program must not hold the CLI

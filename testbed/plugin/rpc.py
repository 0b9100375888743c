"""The gRPC edge: serving on a loopback port, talking back to the engine, and errors in the form Pulumi reads."""
# ruff: noqa: ANN401 - protobuf messages and contexts of gRPC share no type

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent import futures
from typing import Any, Final

import grpc
from google.protobuf import any_pb2, struct_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc, status_pb2

from testbed.plugin.client import ApiError
from testbed.plugin.refusals import NotSupportedError, RefusedError
from testbed.plugin.values import Manifest, decode, encode, redacted
from testbed.plugin.waiting import NotReadyError

# Pulumi's own limit for messages of its plugins.
_OPTIONS: Final = [("grpc.max_receive_message_length", 400 << 20), ("grpc.max_send_message_length", 400 << 20)]
GRACE: Final = 1.0  # seconds for answers that are on their way
LOOK_SECONDS: Final = 0.5  # between two looks at whether the CLI is there
WORKERS: Final = 64  # each wait holds one thread; Pulumi runs 4 operations a CPU at once


class InitFailedError(Exception):
    """The object exists and its state must be kept, but it did not become ready."""

    def __init__(self, object_id: str, reasons: list[str], outputs: Manifest, inputs: Manifest) -> None:
        super().__init__("\n  ".join(reasons))
        self.object_id, self.reasons, self.outputs, self.inputs = object_id, reasons, outputs, inputs


def servicer(provider: object) -> provider_pb2_grpc.ResourceProviderServicer:
    """Return a servicer that answers with `provider.<Method>(request)`, and refuses methods it lacks by their names."""
    made = provider_pb2_grpc.ResourceProviderServicer()
    for name in vars(provider_pb2_grpc.ResourceProviderServicer):
        if name[0].isupper():
            method = getattr(provider, name, None)
            setattr(made, name, _handler(method) if method else _refusal(name))
    return made


def _refusal(name: str) -> Callable[[Any, Any], None]:
    return lambda _, context: context.abort(grpc.StatusCode.UNIMPLEMENTED, str(NotSupportedError(name)))


def _handler(method: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a handler whose exceptions reach the user as Pulumi shows errors, without the secrets of the request."""

    def handler(request: Any, context: Any) -> Any:
        try:
            return method(request)
        except InitFailedError as error:
            failed = provider_pb2.ErrorResourceInitFailed(
                id=error.object_id,
                reasons=[_redacted(reason, request) for reason in error.reasons],
                properties=encode(error.outputs),
                inputs=encode(error.inputs),
            )
            message, detail = _redacted(str(error), request), any_pb2.Any()
            detail.Pack(failed)
            status = status_pb2.Status(code=2, message=message, details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, message)
        except (ApiError, NotReadyError, RefusedError) as error:
            context.abort(grpc.StatusCode.UNKNOWN, _redacted(str(error), request))
        except Exception as error:  # noqa: BLE001 - a fault of this plugin: say where, not what values it held
            frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[-4:])
            context.abort(grpc.StatusCode.INTERNAL, f"stand-in plugin: {type(error).__name__}\n{''.join(frames)}")

    return handler


def _redacted(text: str, request: Any) -> str:
    for _, field in request.ListFields():
        if isinstance(field, struct_pb2.Struct):
            text = redacted(text, decode(field))
    return text


class Engine:
    """The progress lines of the engine. Safe to use from many threads."""

    def __init__(self, address: str) -> None:
        self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address, options=_OPTIONS))
        self._lock = threading.Lock()
        self._last: dict[str, str] = {}

    def status(self, urn: str, message: str) -> None:
        """Set the progress line of one resource; send repeated words once."""
        with self._lock:
            if self._last.get(urn, "") == message:
                return
            self._last[urn] = message
        request = engine_pb2.LogRequest(severity=engine_pb2.INFO, urn=urn, message=message, ephemeral=True)
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

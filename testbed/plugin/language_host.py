"""`python -m testbed.plugin.language_host [FLAGS] ENGINE`: the stand-in for pulumi-language-python.

Runs programs in this very interpreter, so the virtual environment is the one that started it.
"""
# ruff: noqa: ANN401, ARG002, D102, N802 - the protocol names the methods, and protobuf messages share no type

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from testbed.plugin.rpc import serve


class LanguageHost(LanguageServer):
    """Runs the program that the CLI names; the server of Pulumi's automation API does the rest."""

    def __init__(self) -> None:
        super().__init__(lambda: None)

    def Handshake(self, request: Any, context: Any) -> language_pb2.LanguageHandshakeResponse:
        return language_pb2.LanguageHandshakeResponse()

    def Run(self, request: Any, context: Any) -> Any:
        # The CLI starts one host a project, so the working directory and the import path are the program's alone.
        self.program = _program(Path(request.info.program_directory), request.info.entry_point)
        result = super().Run(request, context)  # type: ignore[no-untyped-call] # the SDK leaves it without types
        # What went wrong was logged when it did; as an error of the run the CLI would print it twice more.
        return language_pb2.RunResponse(bail=True) if result.error else result

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:
        """Start a policy pack: `python -m pulumi.policy ENGINE PACK`, its output handed on as it comes."""
        pack = [sys.executable, "-u", "-m", "pulumi.policy", *request.args, request.info.program_directory]
        command = ["setpriv", "--pdeathsig", "TERM", *pack]  # this host may end while its thread waits for the pack
        environment = os.environ | dict(entry.split("=", 1) for entry in request.env)
        with subprocess.Popen(command, cwd=request.pwd or None, env=environment, stdout=subprocess.PIPE) as process:
            try:
                for line in process.stdout or ():
                    yield language_pb2.RunPluginResponse(stdout=line)
            finally:
                process.terminate()  # the CLI hung up, or the pack closed its output: nobody listens any more
        yield language_pb2.RunPluginResponse(exitcode=process.returncode)


def _program(directory: Path, entry_point: str) -> Callable[[], None]:
    def run() -> None:
        os.chdir(directory)
        sys.path.insert(0, str(directory))
        # `main: .` and no main at all both mean the directory; a file may be named as well.
        start = directory / entry_point if entry_point not in ("", ".") else directory
        runpy.run_path(str(start / "__main__.py" if start.is_dir() else start), run_name="__main__")

    return run


def main() -> None:
    """Serve until the CLI ends this process."""
    serve(lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(), server))


if __name__ == "__main__":
    main()

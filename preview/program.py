"""Run the real program through the real SDK, without a CLI, cluster, plugin or credentials."""

import asyncio
import contextvars
import functools
import json
import os
import runpy
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from larder_sidecar.config.document import DocumentError, load_document
from pulumi.runtime import config as pulumi_config
from pulumi.runtime import settings as pulumi_settings
from pulumi.runtime.stack import run_in_stack

from components import ROOT
from components.settings import Problem, SettingsError
from components.settings.sources import OVERLAY

from .recorder import Recording, RecordingEngine, RecordingMonitor

PROJECT = "larder"
P = ParamSpec("P")
T = TypeVar("T")


def stack_config(stack: str, folder: Path = ROOT) -> dict[str, Any]:
    """Return the config of Pulumi.<stack>.yaml in `folder`. Raises SettingsError."""
    file = folder / f"Pulumi.{stack}.yaml"
    try:
        document = load_document(file) or {}
    except DocumentError as error:
        raise SettingsError([Problem(file.name, f"{error}.")]) from error
    config = document.get("config") or {} if isinstance(document, dict) else None
    if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
        raise SettingsError([Problem(file.name, "must be a mapping with a mapping of settings under 'config'.")])
    return config


def record(
    config: Mapping[str, Any],
    *,
    stack: str,
    unknowns: bool = False,
    secret_keys: frozenset[str] = frozenset(),
    program: Callable[[], None] | None = None,
) -> Recording:
    """Return what the program tells the engine in a preview with this config. Raises what the program raises.

    `program` in place of the project's own.
    """
    recording = Recording()
    monitor = RecordingMonitor(recording, project=PROJECT, stack=stack, unknowns=unknowns)
    # The SDK keeps all its state in context variables: a separate context isolates each run.
    with _own_environment():
        run = functools.partial(_run, monitor, RecordingEngine(recording), stack, config, secret_keys)
        contextvars.Context().run(run, program or _program)
    return recording


def _run(
    monitor: RecordingMonitor,
    engine: RecordingEngine,
    stack: str,
    config: Mapping[str, Any],
    secret_keys: frozenset[str],
    program: Callable[[], None],
) -> None:
    pulumi_settings.configure(
        pulumi_settings.Settings(
            project=PROJECT, stack=stack, monitor=monitor, engine=engine, dry_run=True, root_directory=str(ROOT)
        )
    )
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    pulumi_config.set_all_config(texts, list(secret_keys))
    asyncio.run(_run_here(program))


async def _run_here(program: Callable[[], None]) -> None:
    asyncio.get_running_loop().set_default_executor(_Here(max_workers=1))
    await run_in_stack(program)


class _Here(ThreadPoolExecutor):
    """Executor that runs each call in the calling thread.

    The SDK sends requests in threads, because a monitor answers over a network. Ours answers at once, and switches
    between threads took a fifth of a preview.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn` and return its finished future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 (the awaiter of the future receives it)
            future.set_exception(error)
        return future


def _program() -> None:
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


@contextmanager
def _own_environment() -> Iterator[None]:
    """Keep the caller's environment from the program: neither an overlay nor a kubeconfig reaches it."""
    names = (OVERLAY, "KUBECONFIG", "PULUMI_CONFIG", "PULUMI_CONFIG_SECRET_KEYS")
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


__all__ = ["PROJECT", "Recording", "record", "stack_config"]

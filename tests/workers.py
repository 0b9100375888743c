"""Run tests in worker processes that are forked after collection: `pytest -p tests.workers --workers 4`.

The tests are collected once, and every worker has them. The workers share a queue of batches, so that none is idle
while there is something left. (Workers of pytest-xdist each import and collect everything, and exchange some ten
messages for each test: with thousands of short tests, a fifth of the time went there.)
"""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from itertools import groupby, zip_longest
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from struct import Struct

import pytest
from _pytest.reports import TestReport

GROUP = "together"
"""Marker of tests that run in one worker, one after the other: `together("name")`."""
LARGEST = 20
"""Tests in a batch, where no group keeps more of them together."""
_FORK = multiprocessing.get_context("fork")
_NUMBER = Struct("=I")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--workers", type=int, default=0, help="Processes that share the tests. Default: this process alone"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    workers, option = session.config.getoption("workers"), session.config.option
    if not workers or option.collectonly or session.testsfailed:
        return None
    # pytest makes the folder of all temporary ones when the first is asked for: once, and not once in each worker.
    session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    left = list(session.items)
    while left:  # more than once where a worker ended in the middle of a batch
        left = _Round(session, left).run(workers)
    return True


def batches(items: Sequence[pytest.Item]) -> list[list[pytest.Item]]:
    """Items in groups: named ones, and else at most `LARGEST` of one module.

    Groups are long and compute; many modules wait for processes. So the groups are spread over the first half, and
    modules come from both ends in turns: then some worker computes while others wait.
    """
    named: dict[str, list[pytest.Item]] = {}
    free: list[list[pytest.Item]] = []
    for group, those in groupby(items, key=_group):
        if group.startswith("/"):
            of_module = list(those)
            free += [of_module[at : at + LARGEST] for at in range(0, len(of_module), LARGEST)]
        else:
            named.setdefault(group, []).extend(those)
    half = (len(free) + 1) // 2
    free = [batch for pair in zip_longest(free[:half], reversed(free[half:])) for batch in pair if batch]
    step = half // len(named) if named else 0
    for index, group_of_items in enumerate(named.values()):
        free.insert(index * (step + 1), group_of_items)
    return free


def _group(item: pytest.Item) -> str:
    mark = item.get_closest_marker(GROUP)
    return str(mark.args[0]) if mark else str(item.path)


class _Round:
    """One set of workers, and the tests that they share."""

    def __init__(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        self._session = session
        self._items = {item.nodeid: item for item in items}
        self._batches = batches(items)
        self._queue, self._filled = os.pipe()

    def run(self, workers: int) -> list[pytest.Item]:
        """Run the tests and report them. Returns those that no worker came to."""
        processes = dict(self._started() for _ in range(min(workers, len(self._batches))))
        os.close(self._queue)
        with os.fdopen(self._filled, "wb") as queue:
            queue.write(b"".join(map(_NUMBER.pack, range(len(self._batches)))))
        on: dict[Connection, str] = {}
        try:
            while processes:
                for pipe in wait(list(processes)):
                    assert isinstance(pipe, Connection)
                    try:
                        message = pipe.recv()
                    except EOFError:
                        self._ended(processes.pop(pipe), on.pop(pipe, None))
                        continue
                    if isinstance(message, str):
                        on[pipe] = message
                    else:
                        self._report(on.pop(pipe), message)
        finally:
            for process in processes.values():
                process.terminate()
                process.join()
        return list(self._items.values())

    def _started(self) -> tuple[Connection, BaseProcess]:
        here, there = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=self._work, args=(there,))
        process.start()
        there.close()
        return here, process

    def _ended(self, process: BaseProcess, on: str | None) -> None:
        process.join()
        if on:
            what = f"The worker ended with {process.exitcode} in this test."
            location = self._items[on].location
            failed = TestReport(on, location, {}, outcome="failed", longrepr=what, when="call")
            self._report(on, [failed])
        elif process.exitcode:
            raise RuntimeError(f"a worker ended with {process.exitcode} between two tests")

    def _report(self, nodeid: str, reports: Sequence[TestReport]) -> None:
        item, hook = self._items.pop(nodeid), self._session.config.hook
        hook.pytest_runtest_logstart(nodeid=nodeid, location=item.location)
        for report in reports:
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=nodeid, location=item.location)
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)

    def _work(self, pipe: Connection) -> None:
        """Run batches until the queue is empty: the whole life of a worker."""
        os.close(self._filled)
        plugins = self._session.config.pluginmanager
        plugins.unregister(name="terminalreporter")
        capture = plugins.getplugin("capturemanager")
        capture.stop_global_capturing()  # what was captured lies in files that all workers would share
        capture.start_global_capturing()
        plugins.register(_Told(pipe))
        items = self._mine()
        item = next(items, None)
        parent = os.getppid()
        while item and os.getppid() == parent:  # it has another one when the first was killed
            following = next(items, None)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            item = following

    def _mine(self) -> Iterator[pytest.Item]:
        while number := os.read(self._queue, _NUMBER.size):
            yield from self._batches[_NUMBER.unpack(number)[0]]


class _Told:
    """Tells the process that forked this one what happens."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._reports: list[TestReport] = []

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._pipe.send(nodeid)

    def pytest_runtest_logreport(self, report: TestReport) -> None:
        self._reports.append(report)

    def pytest_runtest_logfinish(self) -> None:
        self._pipe.send(self._reports)
        self._reports.clear()

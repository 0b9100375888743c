"""Fixtures for tests against a real API server: the server, the Pulumi CLI, and a stack."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dev.paths import CACHE, ROOT
from testbed.cluster import cluster
from testbed.cluster.cluster import Cluster
from testbed.plugin import kubeconfig
from testbed.plugin.client import ApiError, Client
from tests.plugin.stack import Stack


def _lacking(what: str) -> None:
    """Skip with the reason; fail if the part is required."""
    if os.environ.get("CI") and os.environ.get("LARDER_E2E"):
        pytest.fail(what)
    pytest.skip(what)


def _cluster() -> Cluster:
    """Return the running cluster of this checkout. Start one if a suite before this one has dropped it."""
    if (running := cluster.running()) is None:
        subprocess.run(["python3", "-m", "testbed", "cluster"], cwd=ROOT, check=True)
        running = cluster.running()
    assert running is not None
    return running


@pytest.fixture(scope="session")
def kubeconfig_path() -> Path:
    """Return the kubeconfig of an API server that tests may write to."""
    named = os.environ.get("KUBECONFIG_TEST")
    # The cluster of this checkout is for `make e2e`: `make test` stays quick beside a running one.
    if not named and os.environ.get("LARDER_E2E"):
        named = str(_cluster().kubeconfig)
    if not named:
        _lacking("no API server: KUBECONFIG_TEST names no kubeconfig")
    path = Path(str(named))
    if not path.is_file():
        _lacking(f"KUBECONFIG_TEST: {path} is not there")
    return path


@pytest.fixture(scope="session")
def api(kubeconfig_path: Path) -> Iterator[Client]:
    """Return a client of the API server, independent of Pulumi."""
    client = Client(kubeconfig.read(str(kubeconfig_path)))
    yield client
    client.close()


@pytest.fixture(scope="session")
def cli() -> Path:
    """Return the Pulumi CLI: on PATH, else the newest in this user's cache."""
    built = sorted(CACHE.glob("pulumi-*/bin/pulumi"), key=lambda path: path.stat().st_mtime)
    found = shutil.which("pulumi") or (str(built[-1]) if built else None)
    if found is None:
        _lacking("no Pulumi CLI on PATH or in the cache folder")
    return Path(str(found))


@pytest.fixture
def namespace(api: Client) -> Iterator[str]:
    """Yield a namespace for this test; its name also marks the test's cluster-scoped objects."""
    name = f"plugin-test-{secrets.token_hex(4)}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}}, dry_run=False)
    yield name
    for collection in ("/api/v1/persistentvolumes", "/apis/storage.k8s.io/v1/storageclasses"):
        for item in api.get(collection, labelSelector=f"test={name}")["items"]:
            path = f"{collection}/{item['metadata']['name']}"
            with suppress(ApiError):  # it may be on its way out already
                if "finalizers" in item["metadata"]:
                    api.json_patch(path, [{"op": "remove", "path": "/metadata/finalizers"}])
                api.delete(path, "Background")
    api.delete(f"/api/v1/namespaces/{name}", "Background")


@pytest.fixture
def stack(tmp_path: Path, cli: Path, kubeconfig_path: Path, namespace: str) -> Stack:
    """Yield a stack on the API server, for the real CLI with the stand-in plugins."""
    return Stack.made(tmp_path, cli, kubeconfig_path, namespace)

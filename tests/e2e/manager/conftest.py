"""The manager against a real API server: its ServiceAccount and Role as the program declares them, KServe's own CRD.

The test plays KServe's controller: nothing here has a GPU, and what is shown is the manager's side of the contract.
"""

import base64
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.paths import CACHE
from testbed.plugin import kubeconfig
from testbed.plugin.client import ApiError, Client
from tests.e2e.manager.harness import TOKEN, Controller, Manager, started
from tests.program.previews import Preview, preview_of
from tests.program.test_manager import MANAGER
from tests.unit.stack_config import entry

KSERVE = "github.com/kserve/kserve@v0.20.0"
CRD = "inferenceservices.serving.kserve.io"


@pytest.fixture(scope="package")
def api(request: pytest.FixtureRequest) -> Iterator[Client]:
    """The API server as its admin: of KUBECONFIG_TEST, else of the embedded cluster."""
    path = os.environ.get("KUBECONFIG_TEST") or request.getfixturevalue("platform").cluster.kubeconfig
    client = Client(kubeconfig.read(str(path)))
    yield client
    client.close()


@pytest.fixture(scope="package")
def kserve(api: Client) -> None:
    """The CRD, as KServe's module has it; left alone where KServe itself has installed it."""
    collection = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    try:
        api.get(f"{collection}/{CRD}")
    except ApiError:
        env = os.environ | {"GOMODCACHE": str(CACHE / "go-mod"), "GOFLAGS": "-modcacherw"}
        told = subprocess.run(["go", "mod", "download", "-json", KSERVE], env=env, capture_output=True, check=True)
        file = Path(json.loads(told.stdout)["Dir"], "config/crd/full/serving.kserve.io_inferenceservices.yaml")
        crd = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
        api.apply(f"{collection}/{CRD}", crd, force=False, dry_run=False)
    for _ in range(100):
        conditions = api.get(f"{collection}/{CRD}").get("status", {}).get("conditions") or []
        if any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
            return
        time.sleep(0.1)
    pytest.fail("the CRD was not established within 10 s")


@pytest.fixture(scope="package")
def namespace(api: Client, kserve: None) -> Iterator[str]:
    name = f"manager-test-{secrets.token_hex(4)}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}}, dry_run=False)
    yield name
    api.delete(f"/api/v1/namespaces/{name}", "Background")


@pytest.fixture
def controller(api: Client, namespace: str) -> Iterator[Controller]:
    with Controller(api, namespace).running() as controller:
        yield controller
        controller.forget()


@pytest.fixture(scope="package")
def declared(namespace: str) -> Preview:
    """Return the manifests of the program for a manager in this namespace."""
    block = {**MANAGER["larder:manager"], "api-token": {"secret": "mine"}}
    return preview_of("none", {**MANAGER, "larder:manager": block, "larder:cluster": {"namespace": namespace}})


@pytest.fixture(scope="package")
def account(api: Client, declared: Preview, namespace: str) -> str:
    """The token of the manager's ServiceAccount, bound to its Role."""
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    for kind, where in (
        ("ServiceAccount", accounts),
        ("Role", f"{rbac}/roles"),
        ("RoleBinding", f"{rbac}/rolebindings"),
    ):
        made = declared.one(kind, "larder-manager").inputs
        api.apply(f"{where}/larder-manager", dict(made), force=False, dry_run=False)
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    return str(api.create(f"{accounts}/larder-manager/token", asked, dry_run=False)["status"]["token"])


@pytest.fixture
def settings(
    tmp_path: Path, api: Client, declared: Preview, account: str, request: pytest.FixtureRequest
) -> dict[str, Any]:
    """manager.json of the program; only where things lie is another."""
    models = tmp_path / "catalog" / "models"
    models.mkdir(parents=True)
    for model in ("alpha", "beta"):
        (models / f"{model}.yaml").write_text(entry(model).to_json())
    (tmp_path / "state").mkdir()
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "account").write_text(account)
    path = os.environ.get("KUBECONFIG_TEST") or request.getfixturevalue("platform").cluster.kubeconfig
    cluster = yaml.safe_load(Path(path).read_text())["clusters"][0]["cluster"]
    ca = cluster.get("certificate-authority") or str(tmp_path / "ca.crt")
    if data := cluster.get("certificate-authority-data"):
        Path(ca).write_bytes(base64.b64decode(data))
    return {
        **json.loads(declared.one("ConfigMap", "larder-manager").inputs["data"]["manager.json"]),
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "token-file": str(tmp_path / "token"),
        "state": str(tmp_path / "state"),
        "catalog": {"link": str(tmp_path / "catalog")},
        "api": {"url": cluster["server"], "token-file": str(tmp_path / "account"), "ca-file": ca},
        "slack-seconds": 20,
        "poll-seconds": 0.05,
    }


@pytest.fixture
def manager(settings: dict[str, Any], controller: Controller, tmp_path: Path) -> Iterator[Manager]:
    with started(settings, tmp_path / "manager.json") as manager:
        yield manager

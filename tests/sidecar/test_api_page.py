"""docs/api.md has every path and every error code of the code, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from larder_sidecar.gateway.routes import CATALOG_ONLY, PULLS, ROUTES

from tests.source_code import READS_CODE, nodes

ROOT = Path(__file__).parents[2]
OF_THE_CLUSTER = {(409, "conflict"), (422, "refused"), (503, "cluster_unavailable"), (503, "state_unwritable")}
"""Codes that the manager chooses by the API server's status: manager/activation.py, RefusedError."""
PAGE = (ROOT / "docs/api.md").read_text()
CODE = ROOT / "sidecar/larder_sidecar"


def paths(section: str) -> dict[str, str]:
    """Paths of the tables in a section, with the method of each."""
    text = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (found,) = (part for part in text if part.startswith(section))
    rows = re.findall(r"^\| (`/.*?) \| (GET|POST)", found, flags=re.MULTILINE)
    return {path: method for names, method in rows for path in re.findall(r"`([^`]+)`", names)}


def codes(file: Path) -> Iterator[tuple[int, str]]:
    """Every literal status and code that an error is made of."""
    for node in (node for node in nodes(file) if isinstance(node, ast.Call)):
        values = [part.value for part in node.args if isinstance(part, ast.Constant)]
        match values:
            case [int(status), str(code), *_] if 400 <= status < 600 and code.isidentifier():
                yield status, code


def test_paths_of_the_gateway() -> None:
    routes = {path: route.method for path, route in (ROUTES | PULLS).items()}
    assert paths("Paths of the gateway") == routes | {"/v1/models/{id}": "GET"}
    assert all(f"`{path}`" in PAGE for path in CATALOG_ONLY)


@pytest.mark.parametrize(
    ("section", "module"), [("Port 9090", "gateway/admin.py"), ("The model manager", "manager/app.py")]
)
def test_paths_of_other_ports(section: str, module: str) -> None:
    tables = [node for node in nodes(CODE / module) if isinstance(node, ast.Dict)]
    served = {
        key.value
        for table in tables
        for key in table.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.startswith("/")
    }
    assert served
    assert set(paths(section)) - {"/models/{id}"} == served


@READS_CODE
def test_error_codes() -> None:
    made = {found for file in CODE.rglob("*.py") for found in codes(file)}
    rows = re.findall(r"^\| (\d{3}) \| (`.*?) \|", PAGE, flags=re.MULTILINE)
    told = {(int(status), code) for status, names in rows for code in re.findall(r"`(\w+)`", names)}
    own = PAGE.split("Its own codes")[1]
    told |= {(int(status), code) for status, code in re.findall(r"(\d{3}) `(\w+)`", own)} - OF_THE_CLUSTER
    assert len(made) > 40
    assert made - told == set()
    assert told - made == set()

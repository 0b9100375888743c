"""A checkout that a test may change."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.rails.trees import ROOT, Tree

_PARTS = (
    "components",
    "manifests",
    "policies",
    "preview",
    "sidecar",
    "catalog",
    "__main__.py",
    "Makefile",
    "Pulumi.yaml",
    "Pulumi.dev.yaml",
)


@pytest.fixture
def changed(tmp_path: Path) -> Tree:
    for name in _PARTS:
        copy = shutil.copy if (ROOT / name).is_file() else shutil.copytree
        copy(ROOT / name, tmp_path / name)
    (tmp_path / ".larder").mkdir()
    (tmp_path / ".larder" / "clouds").symlink_to(ROOT / ".larder" / "clouds")
    return Tree(tmp_path, Path(sys.executable))


def change(tree: Tree, text: str, other: str) -> None:
    """Replace a text in the code of a checkout, in every file that contains it."""
    files = [path for path in tree.root.rglob("*") if path.suffix in (".py", ".json") and ".larder" not in path.parts]
    found = [path for path in files if text in path.read_text()]
    assert found, f"no file has {text!r}: the test has to change something else"
    for path in found:
        path.write_text(path.read_text().replace(text, other))

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

"""A checkout of a commit runs its own code with our packages."""

import subprocess

import pytest

from tests.rails.trees import RailError, checkout


def test_a_checkout_imports_its_own_packages_and_lends_ours() -> None:
    tree = checkout("HEAD")
    script = "import components, larder_sidecar, pulumi; print(components.__file__, larder_sidecar.__file__)"
    told = subprocess.run([tree.python, "-P", "-c", script], env=tree.environment(), capture_output=True, text=True)
    assert told.stdout.split() == [
        f"{tree.root}/components/__init__.py",
        f"{tree.root}/sidecar/larder_sidecar/__init__.py",
    ]
    # Its own commands state no path: what names the checkout in the environment must not be shared.
    venv = tree.root / ".larder" / "venv"
    assert not venv.is_symlink()
    for file in venv.glob("lib/python3.*/site-packages/*.pth"):
        assert file.stat().st_nlink == 1


def test_a_commit_that_is_none_is_refused() -> None:
    with pytest.raises(RailError, match="BEFORE=no-such-commit: "):
        checkout("no-such-commit")

"""The stand-in for git-sync keeps its contract: a relative link, flipped by a rename, named by the commit."""

import shutil
import subprocess
from pathlib import Path

import pytest

from testbed.images.git_sync import git, sync

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", tmp_path / "repo"], check=True)
    return tmp_path / "repo"


def commit(repo: Path, text: str) -> str:
    (repo / "file").write_text(text)
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    git(repo, "add", "-A")
    git(repo, *who, "commit", "-q", "-m", text)
    return git(repo, "rev-parse", "HEAD")


def test_the_link_leads_to_the_newest_commit_and_the_old_checkout_goes_when_it_is_stale(
    repo: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    git(root, "init", "-q")
    link = root / "current"
    first = commit(repo, "one")
    sync(root, str(repo), "HEAD", link, stale_seconds=60)
    assert (link.readlink(), (link / "file").read_text()) == (Path(".worktrees", first), "one")
    second = commit(repo, "two")
    sync(root, str(repo), "HEAD", link, stale_seconds=60)
    assert (link.readlink(), (link / "file").read_text()) == (Path(".worktrees", second), "two")
    assert (root / ".worktrees" / first / "file").read_text() == "one"
    sync(root, str(repo), "HEAD", link, stale_seconds=-1)
    assert [path.name for path in (root / ".worktrees").iterdir()] == [second]


def test_a_repository_that_is_away_leaves_the_link_alone(repo: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    git(root, "init", "-q")
    first = commit(repo, "one")
    sync(root, str(repo), "HEAD", root / "current", stale_seconds=0)
    shutil.rmtree(repo)
    with pytest.raises(subprocess.CalledProcessError):
        sync(root, str(repo), "HEAD", root / "current", stale_seconds=0)
    assert (root / "current").readlink().name == first

"""The pause image of pods, and git-sync's stand-in."""

import shutil
from pathlib import Path

from dev.images import base, buildah
from dev.images.build import Image
from dev.progress import run

HERE = Path(__file__).parent


def _pause(image: str) -> None:
    root = buildah.STORAGE / "pause"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    run(["gcc", "-static", "-Os", "-s", "-o", root / "pause", HERE / "pause.c"], log=buildah.LOG)
    container = buildah.scratch()
    buildah.buildah("add", container, root / "pause", "/pause")
    buildah.buildah("config", "--entrypoint", '["/pause"]', "--user", "65535:65535", container)
    buildah.buildah("commit", "--rm", "--timestamp=0", container, image)
    shutil.rmtree(root)


def _git_sync(image: str) -> None:
    base.ensure()
    buildah.build(image, HERE / "git-sync.Dockerfile", HERE, {"BASE": base.BASE})


# containerd's configuration names this one by tag.
PAUSE = Image("pause", (HERE / "pause.c",), _pause, 3, version="1")
# Built by the tests that deploy a manager, and by nothing else.
GIT_SYNC = Image("larder/git-sync", (HERE / "git-sync.Dockerfile", HERE / "git_sync.py", *base.INPUTS), _git_sync, 40)

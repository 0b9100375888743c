"""Checks of larder:manager against the stacks, the images and the nodes."""

from collections.abc import Iterator

from ..manager import API_TOKEN, SET_TOKEN
from ..node_local import host_problem
from ..problem import Problem, each
from ..stack_file import StackFile

KEY = "larder:manager"


def check(file: StackFile) -> Iterator[Problem]:
    """Yield what the manager lacks: its part of the InferenceService, git-sync, a token, a node for its state."""
    if file.settings.manager is not None:
        yield from each(_inference(file), _git_sync(file), _token(file), _state(file))


def _inference(file: StackFile) -> Iterator[Problem]:
    manager = file.manager
    by_kserve = not all(stack.GATEWAY for stack in file.stacks.values())
    if by_kserve and manager.inference is not None:
        yield Problem(f"{KEY}.inference", "repeats larder:kserve. Fix: remove it, or that block.")
    elif not by_kserve and manager.inference is None:
        yield Problem(
            f"{KEY}.inference", "is missing. Fix: write {storage-uri: pvc://<claim>/{id}}, or add larder:kserve."
        )


def _git_sync(file: StackFile) -> Iterator[Problem]:
    if file.settings.images.git_sync is None and file.manager.catalog:
        yield Problem(f"{KEY}.catalog", "requires git-sync. Fix: name its image in larder:images.git-sync, by digest.")


def _token(file: StackFile) -> Iterator[Problem]:
    if file.manager.api_token is None and not file.has_token:
        yield Problem(
            f"{KEY}.api-token",
            f"is missing, and there is no {API_TOKEN}. Fix: name a Secret, or run `{SET_TOKEN}`.",
        )


def _state(file: StackFile) -> Iterator[Problem]:
    yield from host_problem(file, f"{KEY}.state.node", file.manager.state.node)

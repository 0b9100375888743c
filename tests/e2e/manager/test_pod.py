"""The manager as `make up` deploys it: its pod, its volumes, its token, a catalog that changes beside it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import packages
from testbed.plugin.client import Client
from tests.e2e.conftest import Platform
from tests.e2e.manager.deployment import Repository, forget_state, git_sync, pulumi, reached
from tests.e2e.manager.harness import TOKEN, Controller

pytestmark = pytest.mark.timeout(3600)
BLOCK = """
  larder:images: {{git-sync: {image}}}
  larder:manager:
    catalog: {{repo: "{repo}", period: 1s}}
    inference: {{storage-uri: "pvc://venus-model-storage/{{id}}"}}
    state: {{node: larder, path: /var/lib/larder/manager, size: 1Gi, prepare-path: true}}
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    packages.ensure("git")
    found = Repository(tmp_path_factory.mktemp("git"))
    found.commit("alpha")
    return found


@pytest.fixture(scope="module")
def deployed(platform: Platform, repository: Repository, kserve: None) -> Iterator[Platform]:
    """Stack dev with a manager and an encrypted token."""
    stack = Path(os.environ["LARDER_STACKS"], "Pulumi.dev.yaml")
    before = stack.read_text()
    with repository.served() as url:
        stack.write_text(before.rstrip() + BLOCK.format(image=git_sync(platform), repo=url))
        setting = f"config set --secret larder:api-token {TOKEN} --stack dev --config-file {stack}"
        pulumi(setting)
        platform.make("up")
        yield platform
    stack.write_text(before)
    # Made by the manager and not by the stack, so nobody else takes it away.
    platform.cluster.kubectl("delete", "inferenceservice", "active-llm", "--namespace=ai", "--ignore-not-found")
    # The state volume is protected for good: to drop the block takes a word of its own.
    pulumi("state unprotect --all --yes --stack dev")
    platform.make("up")
    forget_state(platform)


@pytest.fixture
def controller(api: Client) -> Iterator[Controller]:
    with Controller(api, "ai").running() as controller:
        yield controller


def test_it_serves_the_synced_catalog_and_activates_a_model_of_it(deployed: Platform, controller: Controller) -> None:
    with reached(deployed) as manager:
        assert [model["id"] for model in manager.ask("/models").body["models"]] == ["alpha"]
        assert manager.activate("alpha").status == 200
        assert controller.serves() == "pvc://venus-model-storage/alpha"


def test_a_commit_is_in_the_catalog_without_a_new_pod(deployed: Platform, repository: Repository) -> None:
    commit = repository.commit("beta")
    with reached(deployed) as manager:
        deployed.until(lambda: "yes" if manager.ask("/models").body["catalog"]["commit"] == commit else "", within=30)
        assert manager.ask("/models/beta").status == 200


def test_the_token_is_encrypted_in_the_stack_file_and_in_no_output(deployed: Platform) -> None:
    assert TOKEN not in Path(os.environ["LARDER_STACKS"], "Pulumi.dev.yaml").read_text()
    state = Path(os.environ["LARDER_STATE"], "state")
    assert not [path for path in state.rglob("*.json") if TOKEN in path.read_text()]


def test_git_sync_has_neither_the_account_nor_the_token(deployed: Platform) -> None:
    for container, seen in (("git-sync", "no"), ("manager", "yes")):
        look = "[ -e /run/secrets/larder/token ] && [ -e /var/run/secrets/kubernetes.io/serviceaccount/token ]"
        told = deployed.kubectl(
            "-n",
            "ai",
            "exec",
            "deploy/larder-manager",
            "-c",
            container,
            "--",
            "sh",
            "-c",
            f"{look} && echo yes || echo no",
        )
        assert told.strip() == seen


def test_a_new_pod_knows_what_the_one_before_did(deployed: Platform, controller: Controller) -> None:
    with reached(deployed) as manager:
        assert manager.activate("beta").status == 200
    deployed.kubectl("-n", "ai", "delete", "pod", "-l", "app.kubernetes.io/name=larder-manager", "--wait=true")
    deployed.kubectl("-n", "ai", "rollout", "status", "deployment/larder-manager", "--timeout=120s")
    controller.verdicts["alpha"] = {"modelStatus": {"transitionStatus": "InvalidSpec"}}
    with reached(deployed) as manager:
        last = manager.ask("/active").body["last"]
        assert (last["model"], last["outcome"]) == ("beta", "ready")
        assert "'beta' is ready again" in manager.activate("alpha").message


def test_a_second_up_leaves_the_active_model_alone(deployed: Platform, controller: Controller) -> None:
    before = controller.get()
    assert "Nothing changed." in deployed.make("up")
    after = controller.get()
    assert (after["metadata"]["generation"], after["spec"]) == (before["metadata"]["generation"], before["spec"])

"""Behaviour that needs a real API server: owners of fields, conflicts, the Role, generations."""

from pathlib import Path
from typing import Any

import pytest

from testbed.plugin.client import Client
from tests.e2e.manager.harness import Controller, Manager, started

pytestmark = pytest.mark.timeout(3600)

FAILED = {
    "modelStatus": {
        "transitionStatus": "InvalidSpec",
        "lastFailureInfo": {"reason": "NoSupportingRuntime", "message": "no such runtime"},
    }
}


def apply(api: Client, controller: Controller, spec: dict[str, Any], *, force: bool = False) -> None:
    """Server-side apply as somebody else, whom the client calls pulumi-kubernetes."""
    about = {"name": "active-llm", "namespace": controller.namespace}
    wanted = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": about, "spec": spec}
    api.apply(controller.path, wanted, force=force, dry_run=False)


def test_activation_makes_the_inference_service_and_owns_what_it_says(manager: Manager, controller: Controller) -> None:
    reply = manager.activate("alpha")
    assert (reply.status, reply.body) == (200, {"active": "alpha"})
    found = controller.get()
    assert controller.serves() == "pvc://venus-model-storage/alpha"
    (ours,) = [f for f in found["metadata"]["managedFields"] if f["manager"] == "larder-manager"]
    assert ours["operation"] == "Apply"
    assert "f:storageUri" in ours["fieldsV1"]["f:spec"]["f:predictor"]["f:model"]


def test_the_next_model_waits_for_its_own_generation(manager: Manager, controller: Controller) -> None:
    manager.activate("alpha")
    controller.delay = 0.5  # Ready=True of alpha stands there meanwhile
    assert manager.activate("beta").status == 200
    found = controller.get()
    assert found["metadata"]["generation"] == found["status"]["observedGeneration"] == 2
    assert controller.serves() == "pvc://venus-model-storage/beta"


def test_activating_what_is_active_changes_nothing(manager: Manager, controller: Controller) -> None:
    manager.activate("alpha")
    before = controller.get()["metadata"]["generation"]
    assert manager.activate("alpha").status == 200
    assert controller.get()["metadata"]["generation"] == before


def test_a_field_that_somebody_else_holds_is_a_conflict_that_names_them(
    manager: Manager, controller: Controller, api: Client
) -> None:
    manager.activate("alpha")
    apply(api, controller, {"predictor": {"model": {"storageUri": "pvc://theirs/x"}}}, force=True)
    reply = manager.activate("beta")
    assert reply.status == 409
    assert "pulumi-kubernetes" in reply.message
    assert "storageUri" in reply.message
    assert controller.serves() == "pvc://theirs/x"


def test_fields_of_somebody_else_beside_ours_stay(manager: Manager, controller: Controller, api: Client) -> None:
    manager.activate("alpha")
    apply(api, controller, {"predictor": {"timeout": 90, "minReplicas": 1}})
    assert manager.activate("beta").status == 200
    assert controller.get()["spec"]["predictor"]["timeout"] == 90


def test_a_failed_model_is_taken_back(manager: Manager, controller: Controller) -> None:
    manager.activate("alpha")
    controller.verdicts["beta"] = FAILED
    reply = manager.activate("beta")
    assert reply.status == 502
    assert reply.message == "NoSupportingRuntime: no such runtime. 'alpha' is ready again"
    assert controller.serves() == "pvc://venus-model-storage/alpha"


def test_stopping_and_starting_are_an_annotation_and_no_new_generation(
    manager: Manager, controller: Controller
) -> None:
    manager.activate("alpha")
    assert manager.ask("/models/deactivate", {}).status == 200
    found = controller.get()["metadata"]
    assert (found["annotations"]["serving.kserve.io/stop"], found["generation"]) == ("true", 1)
    assert manager.activate("alpha").status == 200
    assert "serving.kserve.io/stop" not in controller.get()["metadata"]["annotations"]


def test_a_predictor_that_the_schema_does_not_know_is_refused(
    settings: dict[str, Any], controller: Controller, tmp_path: Path
) -> None:
    settings["inference-service"]["predictor"]["minReplica"] = 1
    with started(settings, tmp_path / "manager.json") as manager:
        reply = manager.activate("alpha")
    assert reply.status == 422
    assert "minReplica" in reply.message


def test_the_role_admits_nothing_but_the_one_inference_service(
    settings: dict[str, Any], controller: Controller, tmp_path: Path, api: Client
) -> None:
    settings["inference-service"]["name"] = "another"
    with started(settings, tmp_path / "manager.json") as manager:
        reply = manager.activate("alpha")
        assert reply.status == 503
        assert 'inferenceservices.serving.kserve.io "another" is forbidden' in reply.message
    user = f"system:serviceaccount:{controller.namespace}:larder-manager"

    def may(verb: str, resource: str, group: str = "", name: str = "") -> bool:
        about = {"namespace": controller.namespace, "verb": verb, "group": group, "resource": resource, "name": name}
        review = {"spec": {"user": user, "resourceAttributes": about}}
        answer = api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review, dry_run=False)
        return bool(answer["status"]["allowed"])

    group = "serving.kserve.io"
    assert [may(verb, "inferenceservices", group, "active-llm") for verb in ("get", "patch", "create")] == [True] * 3
    assert [may(verb, "inferenceservices", group, "other") for verb in ("get", "patch", "delete", "list")] == [
        False
    ] * 4
    assert [may("list", what) for what in ("pods", "events", "secrets", "configmaps")] == [True, True, False, False]
    assert [may(verb, "pods") for verb in ("get", "create")] == [False] * 2


def test_a_token_of_nobody_is_said(settings: dict[str, Any], controller: Controller, tmp_path: Path) -> None:
    Path(settings["api"]["token-file"]).write_text("nobody")
    with started(settings, tmp_path / "manager.json") as manager:
        reply = manager.activate("alpha")
    assert (reply.status, reply.message) == (503, "Unauthorized; GET /active shows the active model")

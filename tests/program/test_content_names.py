"""Names of immutable objects contain a hash of their content; other objects keep their names."""

from collections.abc import Callable
from typing import Any, get_args

import pytest

from components.manifest import labels
from components.names import ROLE, Role
from preview.objects import kind
from tests.program.previews import CASES, Preview, preview_of

Previews = Callable[..., Preview]
OTHER_IMAGE = {"larder:images": {"sidecar": f"registry.example/sidecar@sha256:{'3' * 64}"}}
OTHER_HUB = {"larder:hub": {"endpoint": "https://mirror.example"}}
OTHER_MODEL = {"larder:models": ["tiny-random"]}
SLOWER = {"larder:cache": {"min-bandwidth": "1MiB/s"}}
OTHER_RULE = {"larder:gateway": {"routing": {"rules": [{"pattern": "code", "model": "tinyllama-1.1b-chat"}]}}}
OPEN = {"larder:gateway": {"auth": {"mutations": "open"}}}
OTHER_ALIAS = {"larder:gateway": {"routing": {"aliases": {"gpt": "tinyllama-1.1b-chat"}}}}


def _name(seen: Preview, kind: str, prefix: str) -> str:
    return str(seen.one(kind, prefix).inputs["metadata"]["name"])


@pytest.mark.parametrize("change", [OTHER_IMAGE, OTHER_HUB, OTHER_MODEL, SLOWER], ids=["image", "hub", "model", "time"])
def test_a_change_of_the_spec_makes_a_new_job(preview: Previews, change: dict[str, Any]) -> None:
    before, after = preview("node-local"), preview("node-local", change)
    assert _name(before, "Job", "populate-") != _name(after, "Job", "populate-")
    assert before.one("Job", "populate-").urn == after.one("Job", "populate-").urn  # replaced, so the old one goes
    assert after.one("Job", "populate-").delete_before_replace


@pytest.mark.parametrize("prefix", ["populate-", "prepare-path-"])
def test_a_change_of_pod_labels_makes_a_new_job(
    preview: Previews, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are part of the template, which is immutable."""
    before = preview("node-local")
    monkeypatch.setattr("components.jobs.labels", lambda name: {**labels(name), "more": "labels"})
    assert _name(before, "Job", prefix) != _name(preview_of("node-local"), "Job", prefix)


@pytest.mark.parametrize(("stack", "strategy"), CASES)
def test_every_job_says_its_role_and_its_pods_do_not(preview: Previews, stack: str, strategy: str) -> None:
    """A label of the template would make a new Job whenever a version renames a role."""
    jobs = [resource.inputs for resource in preview(strategy, stack=stack).objects() if kind(resource) == "Job"]
    assert {job["metadata"]["labels"].get(ROLE) for job in jobs} <= {*get_args(Role)}
    assert [job for job in jobs if ROLE in job["spec"]["template"]["metadata"]["labels"]] == []


def test_an_unchanged_job_keeps_its_name(preview: Previews) -> None:
    before, after = preview("node-local"), preview("node-local", OTHER_ALIAS)
    assert before.one("Job", "populate-").inputs == after.one("Job", "populate-").inputs


def test_other_weights_make_a_new_config_map_and_roll_the_pod(preview: Previews) -> None:
    before, after = preview("node-local"), preview("node-local", OTHER_MODEL)
    assert _name(before, "ConfigMap", "larder-weights-") != _name(after, "ConfigMap", "larder-weights-")
    assert before.pod()["volumes"] != after.pod()["volumes"]


@pytest.mark.parametrize("strategy", ["none", "node-local"])
def test_another_source_of_the_same_weights_rolls_no_pod(preview: Previews, strategy: str) -> None:
    before, after = preview(strategy), preview(strategy, OTHER_HUB)
    assert _name(before, "ConfigMap", "larder-weights-") == _name(after, "ConfigMap", "larder-weights-")
    assert before.one("ConfigMap", "larder-weights-").inputs != after.one("ConfigMap", "larder-weights-").inputs
    assert before.pod() == after.pod()


@pytest.mark.parametrize("change", [OTHER_ALIAS, OTHER_RULE], ids=["alias", "rule"])
def test_names_and_rules_change_in_place_without_a_new_pod(preview: Previews, change: dict[str, Any]) -> None:
    before, after = preview("none"), preview("none", change)
    assert before.one("ConfigMap", "larder-gateway").inputs != after.one("ConfigMap", "larder-gateway").inputs
    assert before.one("Deployment").inputs == after.one("Deployment").inputs


def test_settings_that_a_gateway_does_not_reload_roll_the_pod(preview: Previews) -> None:
    assert preview("none").one("Deployment").inputs != preview("none", OPEN).one("Deployment").inputs


def test_the_provider_lets_config_maps_change_in_place(preview: Previews) -> None:
    (provider,) = [r for r in preview("none").recording.resources if r.type == "pulumi:providers:kubernetes"]
    assert provider.inputs["enableConfigMapMutable"] == "true"
    assert provider.inputs["context"] == provider.inputs["clusterIdentifier"] == "larder"
    assert "kubeconfig" not in provider.inputs


def test_selectors_contain_only_fixed_labels(preview: Previews) -> None:
    wanted = {"app.kubernetes.io/name": "ollama", "app.kubernetes.io/instance": "larder"}
    seen = preview("none")
    assert seen.one("Deployment").inputs["spec"]["selector"] == {"matchLabels": wanted}
    assert seen.one("Service", "larder").inputs["spec"]["selector"] == wanted
    assert wanted.items() <= seen.one("Deployment").inputs["spec"]["template"]["metadata"]["labels"].items()

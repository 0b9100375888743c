"""One number, min-bandwidth, sets every budget that depends on weights; every wait has an end."""

from collections.abc import Callable
from typing import Any

import pytest

from components.settings.sources import merged
from tests.program.previews import DRAINS, OF_DEV, Preview

Previews = Callable[..., Preview]
SLOW = {"larder:cache": {"min-bandwidth": "1MiB/s"}}
BYTES = 668788096
BUDGET = 638 + 120
"""Seconds for TinyLlama at 1 MiB/s."""


def _seconds(timeout: str) -> int:
    assert timeout.endswith("s")
    return int(timeout[:-1])


def test_the_job_has_as_long_as_the_weights_take(preview: Previews) -> None:
    job = preview("node-local", SLOW).one("Job", "populate-")
    assert job.inputs["spec"]["activeDeadlineSeconds"] == BUDGET
    assert "ttlSecondsAfterFinished" not in job.inputs["spec"]
    assert _seconds(job.timeouts["create"]) > BUDGET


PRUNE = {"larder:cache": {"node-local": {"prune": {"forget": ["1f0c9a77b2d4"]}}}}
FETCHING = {
    "fills a node's disk": ("node-local", "populate-", {}),
    "fills a share": ("shared-storage", "populate-", {}),
    "prunes": ("node-local", "prune-", PRUNE),
}
JOBS = {
    **FETCHING,
    "makes a folder": ("node-local", "prepare-path-", {}),
    "proves images of weights": ("image-volume", "preflight-", {}),
    "proves an engine's image": ("prebuilt-image", "preflight-", {}),
}


def _job(preview: Previews, which: tuple[str, str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    strategy, name, overlay = which
    return dict(preview(strategy, merged(more, overlay)).one("Job", name).inputs["spec"])


def _patience(job: dict[str, Any]) -> int:
    (container,) = job["template"]["spec"]["containers"]
    return int(container["args"][container["args"].index("--patience") + 1])


@pytest.mark.parametrize("which", JOBS.values(), ids=JOBS.keys())
def test_a_failed_job_ends_up_at_once_with_a_reason_of_the_official_plugin(
    preview: Previews, which: tuple[str, str, dict[str, Any]]
) -> None:
    """BackoffLimitExceeded and DeadlineExceeded; with FailJob it is PodFailurePolicy, and the wait goes on."""
    job = _job(preview, which)
    assert job["backoffLimit"] == 0
    assert job["activeDeadlineSeconds"] > 0
    assert {rule["action"] for rule in job["podFailurePolicy"]["rules"]} == {"Ignore"}
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # Kubernetes takes no such rule otherwise


@pytest.mark.parametrize("which", JOBS.values(), ids=JOBS.keys())
def test_a_drain_or_an_eviction_does_not_fail_a_job(preview: Previews, which: tuple[str, str, dict[str, Any]]) -> None:
    (rule,) = _job(preview, which)["podFailurePolicy"]["rules"]
    assert rule == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


@pytest.mark.parametrize("which", JOBS.values(), ids=JOBS.keys())
def test_a_failed_pod_without_a_message_reports_the_end_of_its_log(
    preview: Previews, which: tuple[str, str, dict[str, Any]]
) -> None:
    """As after an OOM kill; the plugin shows the termination message."""
    (container,) = _job(preview, which)["template"]["spec"]["containers"]
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


@pytest.mark.parametrize("which", FETCHING.values(), ids=FETCHING.keys())
def test_fetch_retries_in_its_pod_until_shortly_before_the_deadline_of_the_job(
    preview: Previews, which: tuple[str, str, dict[str, Any]]
) -> None:
    job = _job(preview, which, **SLOW)
    assert 0.9 * BUDGET < _patience(job) < job["activeDeadlineSeconds"] == BUDGET


def test_even_the_shortest_budget_leaves_time_to_try_again(preview: Previews) -> None:
    short = {"larder:models": ["tiny-random"], "larder:cache": {"min-bandwidth": "1GiB/s"}}
    assert _patience(_job(preview, FETCHING["fills a node's disk"], **short)) >= 60


@pytest.mark.parametrize("strategy", OF_DEV)
def test_the_engine_has_as_long_as_the_weights_take(preview: Previews, strategy: str) -> None:
    seen = preview(strategy, SLOW)
    probe = seen.engine()["startupProbe"]
    assert probe["httpGet"] == {"path": "/enginez", "port": 9090}
    assert 0 <= probe["periodSeconds"] * probe["failureThreshold"] - BUDGET < probe["periodSeconds"]


@pytest.mark.parametrize("strategy", OF_DEV)
def test_a_rollout_may_take_fetching_and_starting(preview: Previews, strategy: str) -> None:
    deployment = preview(strategy, SLOW).one("Deployment")
    assert deployment.inputs["spec"]["progressDeadlineSeconds"] == 2 * BUDGET
    assert _seconds(deployment.timeouts["create"]) == _seconds(deployment.timeouts["update"]) > 2 * BUDGET


def test_the_wait_for_the_store_ends_with_the_deadline_of_the_populate_job(preview: Previews) -> None:
    arguments = preview("node-local", SLOW).init("fetch")["args"]
    assert arguments[arguments.index("--wait") + 1] == str(BUDGET)


@pytest.mark.parametrize("strategy", OF_DEV)
def test_the_pod_drains_through_the_gateway_before_the_engine_stops(preview: Previews, strategy: str) -> None:
    from larder_sidecar.config.gateway import GatewayConfig

    seen = preview(strategy)
    config = GatewayConfig.from_json(seen.one("ConfigMap", "larder-gateway").inputs["data"]["gateway.json"])
    assert seen.engine()["lifecycle"] == DRAINS
    assert seen.pod()["terminationGracePeriodSeconds"] == config.drain.grace_seconds


@pytest.mark.parametrize("strategy", OF_DEV)
def test_the_gateway_starts_before_the_engine_and_is_probed_on_its_admin_port(preview: Previews, strategy: str) -> None:
    seen = preview(strategy)
    gateway = seen.init("gateway")
    assert seen.pod()["initContainers"][-1] == gateway
    assert gateway["restartPolicy"] == "Always"
    asked: dict[str, Any] = {name: gateway[name]["httpGet"] for name in gateway if name.endswith("Probe")}
    assert asked == {
        "startupProbe": {"path": "/livez", "port": 9090},
        "readinessProbe": {"path": "/readyz", "port": 9090},
        "livenessProbe": {"path": "/livez", "port": 9090},
    }


@pytest.mark.parametrize("strategy", OF_DEV)
def test_a_probe_outlasts_the_two_seconds_the_gateway_gives_its_engine(preview: Previews, strategy: str) -> None:
    seen = preview(strategy)
    probes = [c[name] for c in (seen.engine(), seen.init("gateway")) for name in c if name.endswith("Probe")]
    assert [probe["timeoutSeconds"] for probe in probes] == [3, 3, 3, 3]


def test_up_waits_only_for_jobs_and_the_engine(preview: Previews) -> None:
    """Large weights take longer than Pulumi's ten minutes for a Service's endpoints."""
    service = preview("none").one("Service", "larder")
    assert service.inputs["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"


def test_two_pods_of_stack_dev_fit_on_two_cores(preview: Previews) -> None:
    """A swap starts the next pod beside the last one; the cluster's own pods ask for about 200m."""
    for strategy in OF_DEV:
        seen = preview(strategy)
        requests = [c["resources"]["requests"]["cpu"] for c in (seen.engine(), seen.init("gateway"))]
        assert 2 * sum(int(cpu.removesuffix("m")) for cpu in requests) <= 2000 - 200

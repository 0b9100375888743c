"""Security of pods, network access to them, and secrets, which stay encrypted."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from components.settings import SettingsError
from preview import properties
from tests.program.previews import OF_DEV, Preview

Previews = Callable[..., Preview]
each = pytest.mark.parametrize("strategy", OF_DEV)
RESTRICTED_VOLUMES = {
    "configMap",
    "image",
    "emptyDir",
    "persistentVolumeClaim",
    "projected",
    "secret",
    "downwardAPI",
    "csi",
}


def _containers(seen: Preview) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pod in seen.pods().items():
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield f"{name}: {container['name']}", container


@each
def test_every_container_keeps_the_restricted_standard(preview: Previews, strategy: str) -> None:
    for name, container in _containers(preview(strategy)):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name


@each
def test_every_pod_runs_as_an_unprivileged_user(preview: Previews, strategy: str) -> None:
    for name, pod in preview(strategy).pods().items():
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }, name
        assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False), name


@each
def test_every_container_has_requests_and_limits(preview: Previews, strategy: str) -> None:
    for name, container in _containers(preview(strategy)):
        asked = container["resources"]["requests"].keys()
        assert asked - {"ephemeral-storage"} == {"cpu", "memory"}, name
        assert container["resources"]["limits"].keys() == {"memory"}, name


@each
def test_every_image_is_a_digest(preview: Previews, strategy: str) -> None:
    assert all("@sha256:" in container["image"] for _, container in _containers(preview(strategy)))


@each
def test_a_namespace_without_a_host_path_enforces_the_standard(preview: Previews, strategy: str) -> None:
    seen = preview(strategy, {"larder:cache": {"node-local": {"prepare-path": False}}})
    assert seen.one("Namespace").inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    kinds = {kind for pod in seen.pods().values() for volume in pod["volumes"] for kind in volume.keys() - {"name"}}
    assert kinds <= RESTRICTED_VOLUMES


def test_the_engine_listens_only_in_its_pod(preview: Previews) -> None:
    engine = preview("none").engine()
    env = {variable["name"]: variable["value"] for variable in engine["env"]}
    assert env["OLLAMA_HOST"] == "127.0.0.1:11434"
    assert env["OLLAMA_NO_CLOUD"] == env["OLLAMA_NOPRUNE"] == "1"
    assert "ports" not in engine


@each
def test_clients_reach_the_gateway_and_only_prometheus_its_admin_port(preview: Previews, strategy: str) -> None:
    clients, admin = preview(strategy).one("NetworkPolicy", "larder-ollama").inputs["spec"]["ingress"]
    assert clients == {"ports": [{"port": 8080, "protocol": "TCP"}]}
    assert admin["ports"] == [{"port": 9090, "protocol": "TCP"}]
    assert admin["from"] == [
        {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}}
    ]


def test_only_pods_that_fetch_reach_the_hub(preview: Previews) -> None:
    def egress(strategy: str, name: str) -> list[Any]:
        spec = preview(strategy).one("NetworkPolicy", name).inputs["spec"]
        assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
        return list(spec["egress"])

    dns = {"ports": [{"port": port, "protocol": by} for port in (53, 5353) for by in ("UDP", "TCP")]}
    hub = {"ports": [{"port": 443, "protocol": "TCP"}]}
    assert egress("none", "larder-ollama") == [dns, hub]
    assert egress("node-local", "larder-ollama") == []
    assert egress("node-local", "larder-populate") == [dns, hub]
    assert egress("shared-storage", "larder-populate-shared") == [dns, hub]
    assert egress("shared-storage", "larder-ollama") == egress("image-volume", "larder-ollama") == []


def test_a_hub_with_an_address_is_the_only_one_reached(preview: Previews) -> None:
    seen = preview("none", {"larder:hub": {"endpoint": "http://10.244.0.1:8090"}})
    assert seen.one("NetworkPolicy", "larder-ollama").inputs["spec"]["egress"][1] == {
        "ports": [{"port": 8090, "protocol": "TCP"}],
        "to": [{"ipBlock": {"cidr": "10.244.0.1/32"}}],
    }


def test_a_hub_with_a_name_may_send_downloads_on_to_others_by_https(preview: Previews) -> None:
    seen = preview("none", {"larder:hub": {"endpoint": "http://mirror.ai:8090"}})
    assert seen.one("NetworkPolicy", "larder-ollama").inputs["spec"]["egress"][1] == {
        "ports": [{"port": 443, "protocol": "TCP"}, {"port": 8090, "protocol": "TCP"}]
    }


def test_a_hub_may_have_an_address_of_the_sixth_version(preview: Previews) -> None:
    seen = preview("none", {"larder:hub": {"endpoint": "http://[fd00::1]"}})
    assert seen.one("NetworkPolicy", "larder-ollama").inputs["spec"]["egress"][1] == {
        "ports": [{"port": 80, "protocol": "TCP"}],
        "to": [{"ipBlock": {"cidr": "fd00::1/128"}}],
    }


def _open_texts(value: properties.Property) -> Iterator[str]:
    """Yield every text that is not marked secret."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _open_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _open_texts(item)
    elif not isinstance(value, properties.Secret):
        yield str(value)


@each
def test_no_configured_secret_is_in_plain_text(preview: Previews, strategy: str) -> None:
    config = {"kubernetes:token": "hunter2", "other:password": "hunter2"}
    seen = preview(strategy, config, secrets=frozenset(config))
    told = [*(r.inputs for r in seen.recording.resources), seen.recording.outputs]
    assert told
    assert not [text for text in _open_texts(told) if "hunter2" in text]
    assert not [text for _, text in seen.recording.messages if "hunter2" in text]


def test_an_encrypted_setting_is_refused_without_its_value(preview: Previews) -> None:
    with pytest.raises(SettingsError) as refused:
        preview("none", {"larder:hub": {"endpoint": "https://hunter2"}}, secrets=frozenset({"larder:hub"}))
    assert refused.value.lines == (
        "larder:hub: is encrypted, but none of its settings is a secret. Fix: set it without --secret.",
    )


def test_files_for_the_sidecar_are_its_own_models(preview: Previews) -> None:
    from larder_sidecar.config.gateway import GatewayConfig
    from larder_sidecar.config.weights import WeightsPlan

    seen = preview("none", {"larder:models": ["tinyllama-1.1b-chat", "tiny-random"]})
    gateway = GatewayConfig.from_json(seen.one("ConfigMap", "larder-gateway").inputs["data"]["gateway.json"])
    weights = WeightsPlan.from_json(seen.one("ConfigMap", "larder-weights-").inputs["data"]["weights.json"])
    assert [model.id for model in gateway.models] == [model.id for model in weights.models]
    assert [model.engine_name for model in gateway.models] == [model.served_names[0] for model in weights.models]
    assert gateway.routing.default == "tinyllama-1.1b-chat"
    assert weights.models[0].ollama.params["num_ctx"] == 2048
    assert json.loads(seen.one("ConfigMap", "larder-gateway").inputs["data"]["gateway.json"])["schema"] == 1

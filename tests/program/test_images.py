"""larder:images by version: pods run the digest that the registry has for the tag."""

import sys
from collections.abc import Callable

import pytest
from pulumi.runtime.proto import resource_pb2

from components.settings import SettingsError
from components.settings.images import UNKNOWN
from preview.findings import findings
from preview.recorder import RecordingMonitor
from tests.program.previews import IMAGES, Preview, preview_of

Previews = Callable[..., Preview]
TAG = "docker.io/ollama/ollama:0.32.15"
TAGGED = {"larder:images": {"ollama": TAG}}


def test_pods_run_the_digest_of_the_version(preview: Previews) -> None:
    seen = preview("none", TAGGED)
    assert seen.engine()["image"] == f"{TAG}@{UNKNOWN}"
    assert seen.init("gateway")["image"] == IMAGES["sidecar"]
    assert findings(seen.recording, "dev") == []


def test_the_program_logs_each_resolved_digest(preview: Previews) -> None:
    assert ("info", f"larder:images.ollama: {TAG} is {UNKNOWN}") in preview("none", TAGGED).recording.messages


def test_digests_are_resolved_without_a_docker_daemon(preview: Previews) -> None:
    (asking,) = [it for it in preview("none", TAGGED).recording.resources if it.type == "pulumi:providers:docker"]
    assert asking.inputs == {"disableDockerDaemonCheck": "true"}


def test_digests_need_no_request_to_a_registry(preview: Previews) -> None:
    assert not [it for it in preview("none").recording.resources if it.type == "pulumi:providers:docker"]


def test_an_unknown_tag_is_reported_with_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: RecordingMonitor, request: object) -> resource_pb2.ResourceInvokeResponse:
        return resource_pb2.ResourceInvokeResponse(failures=[{"reason": "manifest unknown", "property": "name"}])

    monkeypatch.setattr(RecordingMonitor, "Invoke", refuse)
    shimmy = {"pool": "cpu", "models": ["tiny-random"]}
    models = {"larder:models": ["tiny-random", "tiny-second"], "larder:ollama": {"models": ["tiny-second"]}}
    both = {"ollama": TAG, "llama-server": "ghcr.io/ggml-org/llama.cpp:server-b1"}
    with pytest.raises(SettingsError) as refused:
        preview_of("none", {**models, "larder:shimmy": shimmy, "larder:images": both})
    first, second = refused.value.lines
    assert first.startswith(f"larder:images.ollama: no digest of {TAG}: ")
    assert first.endswith("manifest unknown (name). Fix: name a tag that the registry has, or a digest.")
    assert second.startswith("larder:images.llama-server: no digest of ghcr.io/ggml-org/llama.cpp:server-b1: ")


def test_a_missing_package_is_reported_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pulumi_docker", None)
    with pytest.raises(SettingsError) as refused:
        preview_of("none", TAGGED)
    assert refused.value.lines == (
        "larder:images: a tag needs the Python package pulumi_docker. Fix: run make clouds, or name digests.",
    )

"""larder:cache.prebuilt-image.build: the image that BuildKit builds, and the pods that run it."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from components import ROOT
from components.caching.dockerfile import dockerfile
from components.settings import SettingsError
from components.settings.images import UNKNOWN
from components.settings.weights_plan import weights_plan
from preview import properties
from preview.__main__ import main
from preview.recorder import Registered
from tests.program.previews import CATALOG, IMAGES, Preview, preview_of

Previews = Callable[..., Preview]
TO = "registry.example/prebuilt/ollama"
BOTH = ["tiny-random", "tiny-second"]


def _overlay(*, models: list[str] | None = None, images: dict[str, str] | None = None, **build: Any) -> dict[str, Any]:
    return {
        "larder:models": models or ["tiny-random"],
        "larder:cache": {"prebuilt-image": {"image": None, "build": {"to": TO, **build}}},
        "larder:images": images or {},
    }


def _image(seen: Preview) -> Registered:
    (image,) = [resource for resource in seen.recording.resources if resource.type == "docker-build:index:Image"]
    return image


def _text(seen: Preview) -> str:
    return str(_image(seen).inputs["dockerfile"]["inline"])


def test_the_image_is_based_on_the_engine_and_filled_by_fetch(preview: Previews) -> None:
    text = _text(preview("prebuilt-image", _overlay()))
    assert [line for line in text.splitlines() if line.startswith("FROM ")] == [
        f"FROM --platform=$BUILDPLATFORM {IMAGES['sidecar']} AS weights",
        f"FROM {IMAGES['ollama']}",
    ]
    plan = weights_plan(CATALOG.of(["tiny-random"]), "https://huggingface.co")
    assert plan.to_json() in text


def test_each_file_of_weights_is_a_separate_layer(preview: Previews) -> None:
    text = _text(preview("prebuilt-image", _overlay(models=BOTH)))
    hashes = [file.sha256 for entry in CATALOG.of(BOTH) for file in entry.hub.files]  # type: ignore[union-attr]  # both are on a hub
    layers = [line for line in text.splitlines() if line.startswith("COPY --link")]
    assert layers == [
        *(
            f"COPY --link --from=weights /layers/sha256-{known} /weights/ollama/blobs/sha256-{known}"
            for known in sorted(hashes)
        ),
        "COPY --link --from=weights /weights/ollama /weights/ollama",
    ]


def test_weights_without_a_hash_are_in_the_last_layer() -> None:
    plan = weights_plan(CATALOG.of(["tiny-random"]), "https://huggingface.co")
    file = plan.models[0].files[0].model_copy(update={"sha256": "first-pull"})
    plan = plan.model_copy(update={"models": [plan.models[0].model_copy(update={"files": [file]})]})
    text = dockerfile(plan, sidecar="sidecar", engine="engine")
    assert "mv " not in text
    assert [line for line in text.splitlines() if line.startswith("COPY --link")] == [
        "COPY --link --from=weights /weights/ollama /weights/ollama"
    ]


def test_a_preview_builds_no_image_and_destroy_deletes_none(preview: Previews) -> None:
    image = _image(preview("prebuilt-image", _overlay(platforms=["linux/amd64", "linux/arm64"], builder="team")))
    assert image.inputs["buildOnPreview"] is False
    assert image.retain_on_delete
    assert (image.inputs["platforms"], image.inputs["builder"]) == (["linux/amd64", "linux/arm64"], {"name": "team"})


def test_the_image_does_not_depend_on_the_checkout(preview: Previews) -> None:
    """A folder as context would be hashed at every `up`, and its path is another one for everybody."""
    image = _image(preview("prebuilt-image", _overlay()))
    assert image.inputs["context"] == {"location": "-"}
    assert str(ROOT) not in str(image.inputs)
    again = _image(preview_of("prebuilt-image", _overlay()))
    assert again.inputs == image.inputs


@pytest.mark.parametrize(
    "other",
    [
        _overlay(models=BOTH),
        _overlay(images={"ollama": f"registry.example/ollama@sha256:{'b' * 64}"}),
        _overlay(platforms=["linux/arm64"]),
    ],
    ids=["models", "engine", "platforms"],
)
def test_another_image_has_another_name_and_another_preflight_job(preview: Previews, other: dict[str, Any]) -> None:
    one, another = preview("prebuilt-image", _overlay()), preview("prebuilt-image", other)
    (tag,), (other_tag,) = (_image(seen).inputs["tags"] for seen in (one, another))
    assert tag.startswith(f"{TO}:")
    assert tag != other_tag
    names = {seen.one("Job", "preflight-").inputs["metadata"]["name"] for seen in (one, another)}
    assert len(names) == 2


def test_pods_run_the_built_image_by_digest_and_wait_for_it(preview: Previews) -> None:
    seen = preview("prebuilt-image", _overlay())
    built, (tag,) = _image(seen).urn, _image(seen).inputs["tags"]
    (proof,) = seen.pod("Job", "preflight-")["containers"]
    assert seen.engine()["image"] == proof["image"] == f"{tag}@{UNKNOWN}"
    assert preview("prebuilt-image", _overlay(), unknowns=True).engine()["image"] is properties.UNKNOWN
    assert built in seen.one("Job", "preflight-").dependencies
    assert {built, seen.one("Job", "preflight-").urn} <= seen.one("Deployment", "ollama").dependencies


def test_the_build_has_time_to_fetch_and_to_push(preview: Previews) -> None:
    overlay = _overlay(models=["tinyllama-1.1b-chat"])
    overlay["larder:cache"]["min-bandwidth"] = "1MiB/s"
    assert _image(preview("prebuilt-image", overlay)).timeouts["create"] == f"{2 * (638 + 120)}s"


def test_no_image_is_built_for_an_inactive_strategy(preview: Previews) -> None:
    seen = preview("none", _overlay())
    assert not [resource for resource in seen.recording.resources if "docker" in resource.type]


def test_a_missing_package_is_reported_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "components.caching.built_image", raising=False)
    monkeypatch.setitem(sys.modules, "pulumi_docker_build", None)
    with pytest.raises(SettingsError) as refused:
        preview_of("prebuilt-image", _overlay())
    assert refused.value.lines == (
        "larder:cache.prebuilt-image.build: needs the Python package pulumi_docker_build. Fix: run make clouds.",
    )


def test_render_refuses_images_without_a_digest(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "overlay").write_text(
        f"larder:images: {{sidecar: {IMAGES['sidecar']}, ollama: 'docker.io/ollama/ollama:0.32.15'}}\n"
        f"larder:cache: {{strategy: prebuilt-image, prebuilt-image: {{build: {{to: {TO}}}}}}}\n"
    )
    assert main(["render", "--overlay", str(tmp_path / "overlay"), "--out", str(tmp_path / "files")]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "larder:images.ollama: docker.io/ollama/ollama:0.32.15 is a tag; `up` asks the registry for its digest, "
        "and files need it before. Fix: name the image by its digest.",
        "larder:cache.prebuilt-image.build: `up` builds the image, and its digest is known then, "
        "and files need it before. Fix: name the image by its digest.",
    ]
    assert not (tmp_path / "files").exists()


def test_other_stacks_load_neither_package() -> None:
    program = (
        "import sys, components; from tests.program.previews import preview_of; preview_of('none'); "
        "sys.exit(any(name.startswith('pulumi_docker') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)

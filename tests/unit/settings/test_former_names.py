"""`modelCache` of the former Helm chart is read as today's block, or refused with the line to add."""

from typing import Any

import pytest

from tests.unit.stack_config import DIGEST, problems, settings

IMAGE = f"registry.example/ollama-tinyllama@{DIGEST}"
NONE: dict[str, Any] = {"larder:cache": {"strategy": "none", "node-local": None}}
IMAGES = {"images": {"alpha": f"registry.example/alpha@{DIGEST}"}}
CLASS = {"enabled": True, "storageClassName": "nfs-client"}
PREBUILT = "larder:cache: {strategy: prebuilt-image, prebuilt-image: {image: "
SHARED = "larder:cache: {strategy: shared-storage, shared-storage: {storage-class: "


def _ollama(former: Any, **more: Any) -> dict[str, Any]:
    return {**NONE, "larder:ollama": {"modelCache": former, **more}}


@pytest.mark.parametrize(
    ("config", "strategy", "block"),
    [
        (_ollama({"prebuiltImage": IMAGE}), "prebuilt-image", {"image": IMAGE}),
        (_ollama({"prebuiltImage": {"enabled": True, "image": IMAGE}}), "prebuilt-image", {"image": IMAGE}),
        (_ollama({"prebuiltImage": True}, image=IMAGE), "prebuilt-image", {"image": IMAGE}),
        (
            _ollama(
                {"prebuiltImage": "true"}, image={"repository": "registry.example/ollama-tinyllama", "digest": DIGEST}
            ),
            "prebuilt-image",
            {"image": IMAGE},
        ),
        (
            {
                "larder:cache": {"strategy": "none", "node-local": None, "prebuilt-image": {"image": IMAGE}},
                "larder:ollama": {"modelCache": {"prebuiltImage": True}},
            },
            "prebuilt-image",
            {"image": IMAGE},
        ),
        (_ollama({"sharedStorage": CLASS}), "shared-storage", {"storage-class": "nfs-client", "size": "1Gi"}),
        (_ollama({"sharedStorage": {**CLASS, "size": "9Gi"}}), "shared-storage", {"size": "9Gi"}),
        (_ollama({"sharedStorage": "nfs-client"}), "shared-storage", {"storage-class": "nfs-client"}),
        (
            _ollama({"shared-storage": {"storage-class": "nfs-client"}}),
            "shared-storage",
            {"storage-class": "nfs-client"},
        ),
        (_ollama({"shared_storage": {"existingClaim": "weights"}}), "shared-storage", {"claim": "weights"}),
        (_ollama({"sharedStorage": CLASS, "prebuiltImage": False}), "shared-storage", {"storage-class": "nfs-client"}),
        ({**NONE, "larder:ollama": {"model-cache": {"sharedStorage": CLASS}}}, "shared-storage", {"size": "1Gi"}),
        ({**NONE, "larder:ollama": {"model_cache": {"sharedStorage": CLASS}}}, "shared-storage", {"size": "1Gi"}),
        ({"larder:cache": None, "larder:ollama": {"modelCache": {"sharedStorage": CLASS}}}, "shared-storage", {}),
        (
            {
                "larder:cache": {"strategy": "image-volume", "image-volume": IMAGES, "node-local": None},
                "larder:ollama": {"modelCache": {"harbor": {"enabled": True, "registry": "h", "project": "p"}}},
            },
            "image-volume",
            IMAGES,
        ),
        (_ollama({"prebuiltImage": False, "harbor": {"enabled": False}}), "none", {}),
        (_ollama({}), "none", {}),
    ],
)
def test_former_names_are_read_as_todays(config: dict[str, Any], strategy: str, block: dict[str, Any]) -> None:
    found = settings(config)
    assert found.cache.strategy == strategy
    written = found.cache.model_dump(by_alias=True, exclude_none=True).get(strategy, {})
    assert written.items() >= block.items()
    former = next(value for key, value in config["larder:ollama"].items() if "ache" in key)
    assert len(found.notes) == len(former)
    assert all(note.startswith("larder:ollama.model") and "larder:cache" in note for note in found.notes)


def test_a_note_has_the_line_to_write() -> None:
    (note,) = settings(_ollama({"sharedStorage": CLASS})).notes
    assert note == (
        "larder:ollama.modelCache.sharedStorage: is the former name of larder:cache.strategy. Fix: write larder:cache: "
        "{strategy: shared-storage, shared-storage: {storage-class: nfs-client, size: 1Gi}}."
    )


def test_todays_names_have_no_note() -> None:
    assert settings().notes == ()


@pytest.mark.parametrize(
    ("former", "more", "says"),
    [
        (
            {"prebuiltImage": True},
            {},
            f"names no image. Fix: write {PREBUILT}name@sha256:…",
        ),
        ({"prebuiltImage": {"enabled": True}}, {}, f"Fix: write {PREBUILT}name@sha256:…"),
        (
            {"prebuiltImage": True},
            {"image": {"repository": "ghcr.io/team/ollama-tinyllama", "tag": "latest"}},
            f"'ghcr.io/team/ollama-tinyllama:latest' is not a digest reference. "
            f"Fix: write {PREBUILT}ghcr.io/team/ollama-",
        ),
        ({"prebuiltImage": "ghcr.io/team/ollama:1"}, {}, f"Fix: write {PREBUILT}ghcr.io/team/ollama@sha256:…"),
        ({"sharedStorage": True}, {}, f"names no class of storage. Fix: write {SHARED}<a class"),
        ({"sharedStorage": {"enabled": True}}, {}, f"Fix: write {SHARED}<a class"),
        (
            {"harbor": {"enabled": True, "registry": "harbor.example.com", "project": "ai-models"}},
            {},
            "image-volume: {images: {alpha: harbor.example.com/ai-models/alpha@sha256:…}}}",
        ),
        ({"harbor": True}, {}, "{images: {alpha: <registry>/alpha@sha256:…}}}"),
        (
            {"sharedStorage": {"mountPath": "/x"}},
            {},
            "mountPath is not a known key with text. Fix: use one of enabled, storage-class",
        ),
        ({"nfs": True}, {}, "unknown key. Fix: use one of harbor, prebuiltImage, sharedStorage."),
        (
            {"sharedStorage": {**CLASS, "size": []}},
            {},
            "size is not a known key with text.",
        ),
        ([], {}, "must be a mapping"),
        (True, {}, "must be a mapping"),
        (None, {}, "must be a mapping"),
    ],
)
def test_an_incomplete_former_setting_is_refused_with_the_line_to_write(
    former: Any, more: dict[str, Any], says: str
) -> None:
    (line,) = problems(_ollama(former, **more))
    assert line.startswith("larder:ollama.modelCache")
    assert says in line


def test_contradictory_settings_are_refused() -> None:
    (line,) = problems(_ollama({"prebuiltImage": IMAGE, "sharedStorage": CLASS}))
    assert line == (
        "larder:ollama.modelCache.sharedStorage: wants shared-storage, but larder:cache.strategy is "
        "'prebuilt-image'. Fix: remove one of them."
    )
    (line,) = problems({"larder:ollama": {"modelCache": {"prebuiltImage": IMAGE}}})
    assert "wants prebuilt-image, but larder:cache.strategy is 'node-local'" in line


def test_a_former_setting_is_checked_like_todays() -> None:
    (line,) = problems(_ollama({"sharedStorage": {**CLASS, "size": "lots"}}))
    assert line.startswith("larder:cache.shared-storage")

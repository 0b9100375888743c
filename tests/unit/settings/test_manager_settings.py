"""larder:manager: refused settings, and the token."""

from typing import Any

import pytest

from components.settings import SettingsError, parse
from components.settings.base import Catalog
from components.settings.sources import merged
from tests.unit.stack_config import CATALOG, DIGEST, GOOD, problems

MANAGER = {
    "catalog": {"repo": "https://git.example/team/catalog"},
    "inference": {"storage-uri": "pvc://venus-model-storage/{id}"},
    "api-token": {"secret": "mine"},
    "state": {"node": "venus", "path": "/mnt/state", "size": "1Gi"},
}
WITH: dict[str, Any] = {"larder:manager": MANAGER, "larder:images": {"git-sync": f"registry/git-sync@{DIGEST}"}}
SECRET = "hunter2-hunter2-hunter2"


def changed(block: dict[str, Any]) -> list[str]:
    return problems(merged(WITH, {"larder:manager": block}))


@pytest.mark.parametrize(
    ("block", "line"),
    [
        (
            {"workload": "knative"},
            "larder:manager.workload: 'knative' is not supported: Knative takes no native sidecar for git-sync, "
            "mounts a claim only with a feature flag, and starts a new pod beside the old one, but the history has "
            "one writer. Fix: choose deployment.",
        ),
        (
            {"state": {"node": "venis"}},
            "larder:manager.state.node: no node pool provides host 'venis'. Did you mean 'venus'? Known hosts: mars, "
            "pluto, venus. Fix: add it to larder:node-pools or choose one of them.",
        ),
        (
            {"catalog": {"repo": f"https://me:{SECRET}@git.example/catalog"}},
            "larder:manager.catalog.repo: is not a URL for git-sync. Fix: write https://host/path; credentials go "
            "into `secret`.",
        ),
        *(
            (
                {"catalog": {"repo": f"https://{place}/catalog"}},
                "larder:manager.catalog.repo: is not a URL for git-sync. Fix: write https://host/path; credentials "
                "go into `secret`.",
            )
            for place in ("git.example:99999", "git.example:0", "git.example\\", "[git.example]", "gît.example")
        ),
        (
            {"inference": {"storage-uri": "pvc://models/alpha"}},
            "larder:manager.inference.storage-uri: must contain {id} in place of the model's id: "
            "otherwise every model would be the same. Fix: add it, as in pvc://models/{id}",
        ),
        (
            {"api-token": None},
            "larder:manager.api-token: is missing, and there is no larder:api-token. Fix: name a Secret, or run "
            "`pulumi config set --secret larder:api-token $(openssl rand -hex 32)`.",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_invalid_setting_is_one_line_with_path_and_fix(block: dict[str, Any], line: str) -> None:
    assert changed(block) == [line]


@pytest.mark.parametrize("scheme", ["file:///{id}", "huggingface://{id}", "pvc:/models/{id}", "{id}"])
def test_a_uri_that_kserve_cannot_load_is_refused(scheme: str) -> None:
    (line,) = changed({"inference": {"storage-uri": scheme}})
    assert line.startswith("larder:manager.inference.storage-uri: ")
    assert "is not allowed here" in line


def test_a_manager_requires_the_image_of_git_sync() -> None:
    assert problems({"larder:manager": MANAGER}) == [
        "larder:manager.catalog: requires git-sync. Fix: name its image in larder:images.git-sync, by digest."
    ]


KSERVE: dict[str, Any] = {
    **WITH,
    "larder:node-pools": {"rocm": {"hosts": ["venus"], "accelerator": "amd.com/gpu"}},
    "larder:models": ["alpha", "gamma"],
    "larder:images": {**WITH["larder:images"], "vllm": f"registry/vllm@{DIGEST}"},
    "larder:kserve": {"pool": "rocm", "models": ["gamma"]},
}


def test_manager_and_kserve_do_not_repeat_each_other() -> None:
    assert problems({**KSERVE, "larder:kserve": {"pool": "rocm", "active": "gamma"}}) == [
        "larder:kserve.active: larder:manager chooses the model, by POST /models/activate. Fix: remove this key, or "
        "that block.",
        "larder:manager.inference: repeats larder:kserve. Fix: remove it, or that block.",
    ]
    assert problems(merged(KSERVE, {"larder:manager": {"inference": None}})) == []


def test_manager_or_kserve_alone_names_the_model() -> None:
    assert changed({"inference": None}) == [
        "larder:manager.inference: is missing. Fix: write {storage-uri: pvc://<claim>/{id}}, or add larder:kserve."
    ]
    assert problems({**KSERVE, "larder:manager": None}) == [
        "larder:kserve.active: is missing. Fix: write the catalog id of the model to serve, or add larder:manager."
    ]


def test_a_token_in_plain_text_is_refused_and_the_error_hides_it() -> None:
    (line,) = problems({**WITH, "larder:api-token": SECRET})
    assert line.startswith(
        "larder:api-token: is in plain text in the stack file. Fix: remove it and run `pulumi config set --"
    )
    assert SECRET not in line


def test_an_encrypted_token_is_accepted_and_never_a_setting() -> None:
    raw = merged(merged(GOOD, WITH), {"larder:manager": {"api-token": None}, "larder:api-token": SECRET})
    read = parse(raw, stack="dev", catalog=Catalog(CATALOG), encrypted=frozenset({"larder:api-token"}))
    assert SECRET not in repr(read) + read.to_json()
    with pytest.raises(SettingsError) as refused:
        parse({**raw, "larder:models": ["alhpa"]}, stack="dev", catalog=Catalog(CATALOG), encrypted=frozenset(raw))
    assert SECRET not in str(refused.value)

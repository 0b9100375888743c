"""`make render`: manifests as files that `kubectl apply -f` takes in their order."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from preview import properties
from preview.recorder import Recording
from preview.render import render, write
from tests.program.previews import OF_DEV, Preview

Previews = Callable[..., Preview]


@pytest.mark.parametrize("strategy", OF_DEV)
def test_files_contain_the_registered_inputs(preview: Previews, strategy: str) -> None:
    seen = preview(strategy)
    files, left_out = render(seen.recording)
    assert left_out == {}
    documents = {f"{d['kind']} {d['metadata']['name']}": d for d in map(yaml.safe_load, files.values())}
    assert documents.keys() == seen.named().keys()
    for name, resource in seen.named().items():
        assert documents[name].get("spec") == resource.inputs.get("spec"), name
        assert documents[name].get("data") == resource.inputs.get("data"), name


@pytest.mark.parametrize("strategy", OF_DEV)
def test_files_are_in_the_order_of_dependencies(preview: Previews, strategy: str) -> None:
    kinds = [name.split("-")[1] for name in render(preview(strategy).recording)[0]]
    order = ["namespace", "storageclass", "persistentvolume", "persistentvolumeclaim", "configmap", "service"]
    assert [kinds.index(kind) for kind in order] == sorted(kinds.index(kind) for kind in order)
    assert kinds[-1] == "deployment"


def test_annotations_for_pulumi_are_not_rendered(preview: Previews) -> None:
    assert not [name for name, text in render(preview("node-local").recording)[0].items() if "pulumi.com/" in text]


def test_protected_objects_are_protected_in_argo_cd_and_flux(preview: Previews) -> None:
    seen = preview("node-local")
    kept = {f"{r.type.rpartition(':')[2].lower()}-" for r in seen.objects() if r.protect}
    assert kept
    for name, text in render(seen.recording)[0].items():
        annotations = yaml.safe_load(text)["metadata"]["annotations"]
        is_kept = any(name[3:].startswith(prefix) for prefix in kept)
        assert (annotations.get("argocd.argoproj.io/sync-options") == "Prune=false,Delete=false") == is_kept, name
        assert (annotations.get("kustomize.toolkit.fluxcd.io/prune") == "disabled") == is_kept, name


def test_other_settings_do_not_rename_files(preview: Previews) -> None:
    names = [set(render(preview(strategy).recording)[0]) for strategy in ("none", "node-local")]
    assert names[0] < names[1]


def test_a_second_run_changes_nothing(preview: Previews, tmp_path: Path) -> None:
    files, _ = render(preview("node-local").recording)
    assert write(files, tmp_path) == list(files)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert write(files, tmp_path) == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_stale_files_are_removed_and_others_stay(preview: Previews, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("kind: ConfigMap\n")
    write(render(preview("node-local").recording)[0], tmp_path)
    files, _ = render(preview("none").recording)
    write(files, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*files, "mine.yaml"}


def test_other_entries_of_the_folder_stay(preview: Previews, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    (tmp_path / "b.yaml").write_bytes(b"\xff")
    (tmp_path / "c.yaml").symlink_to(tmp_path / "nowhere")
    write(render(preview("none").recording)[0], tmp_path)
    assert {"a.yaml", "b.yaml", "c.yaml"} <= {path.name for path in tmp_path.iterdir()}


def test_half_written_files_of_a_killed_run_are_removed(preview: Previews, tmp_path: Path) -> None:
    (tmp_path / ".70-job-of-other-settings.yaml.half").write_text("half")
    files, _ = render(preview("none").recording)
    write(files, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == files.keys()


@pytest.mark.parametrize("host", ["1e3", "12e-1", "0o17", "123", "1.5"])
def test_a_numeric_looking_name_stays_text_to_every_reader(preview: Previews, host: str) -> None:
    overlay = {"larder:node-pools": {"cpu": {"hosts": ["larder", host]}}}
    files, _ = render(preview("none", overlay).recording)
    assert f"'{host}'" in files["80-deployment-ollama.yaml"]


def test_an_object_with_a_secret_is_left_out_and_named(preview: Previews) -> None:
    seen = preview("none")
    hidden = replace(
        seen.one("ConfigMap", "larder-gateway"),
        inputs={"kind": "ConfigMap", "metadata": {"name": "open"}, "data": {"token": properties.Secret("hunter2")}},
    )
    files, left_out = render(Recording(resources=[hidden, seen.one("Service", "larder")]))
    assert left_out == {"configmap-open": "holds a secret. Make it in the cluster yourself"}
    assert "hunter2" not in str(files)
    assert len(files) == 1

"""`make plan` and `make render` as commands."""

import functools
import io
import json
import re
import tempfile
from pathlib import Path

import pytest

from components.serving import workload
from preview.__main__ import main
from tests.unit.catalog.hostile import UNUSABLE

DIGEST = f"sha256:{'0' * 64}"
IMAGES = f"larder:images: {{sidecar: 'a@{DIGEST}', ollama: 'b@{DIGEST}'}}\n"


def test_plan_shows_the_tree_with_the_purpose_of_each_resource(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--stack", "dev"]) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert any("Deployment ollama" in line and "the engine, and the gateway as its sidecar" in line for line in lines)
    assert any("Ollama ollama" in line and "Ollama serving the models" in line for line in lines)
    assert any("PersistentVolumeClaim" in line and "[kept by destroy]" in line for line in lines)
    for section in ("Settings in force", "Resources (", "Policies", "Admission", "Outputs", "Warnings"):
        assert f"\n{section}" in printed


def test_plan_lists_the_needs_of_the_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--stack", "venus"]) == 0
    assert (
        "\nNeeds of the cluster\n  kserve-0.20-or-later   (has v1beta1.serving.kserve.io)\n" in capsys.readouterr().out
    )


def test_plan_fails_if_a_mandatory_policy_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.serving.workload.container_security", dict)
    assert main(["plan"]) == 1
    printed = capsys.readouterr()
    assert (
        "\n  mandatory: restricted-containers: Deployment ollama: spec.template.spec.containers[ollama]" in printed.out
    )
    assert printed.err == "Mandatory policies are broken; see Policies above.\n"


def test_plan_reports_advisory_findings_and_succeeds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    container = workload._container
    monkeypatch.setattr(workload, "_container", lambda *args: {**container(*args), "resources": {}})
    assert main(["plan"]) == 0
    assert "\n  advisory: stated-resources: Deployment ollama: " in capsys.readouterr().out


def test_the_file_may_name_only_the_image_that_make_up_does_not_build(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"larder:images: {{git-sync: 'c@{DIGEST}'}}\n")
    assert main(["plan", "--overlay", str(overlay)]) == 0
    assert main(["plan", "--stack", "staging", "--overlay", str(overlay)]) == 1


def test_a_plan_lists_the_nodes_that_a_preview_will_look_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--stack", "venus"]) == 0
    needs = capsys.readouterr().out.partition("\nNeeds of the cluster\n")[2].partition("\n\n")[0]
    assert "  node-pools.rocm.hosts.venus   (has venus)\n" in needs
    assert "`pulumi preview` reads each" in needs


@pytest.mark.parametrize("content", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_unusable_overlay_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | bytes
) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["plan", "--overlay", str(overlay)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"LARDER_OVERLAY: cannot read {overlay}: ")


@pytest.mark.parametrize(
    "content",
    [
        "larder:cache: {1: 2}",
        "larder:cache: {true: 2}",
        "larder:cache: {~: 2}",
        "larder:cache: {1.5: 2}",
        "larder:cache: .inf",
        "larder:models: [.nan]",
        f"larder:models: [0x{'f' * 60}]",
        "larder:models: " + "[" * 60 + "]" * 60,
        "larder:cache: &a {strategy: [1]}\nlarder:ollama: *a",
        f"larder:cache: {{strategy: {'s' * 100_000}}}",
        f"larder:cache: {{? {'k' * 100_000}\n : 1}}",
        f"larder:models: [{'1,' * 9000}]",
        "larder:gateway: {routing: {rules: [{pattern: '(((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9}', model: m}]}}",
        f"larder:gateway: {{routing: {{rules: [{'1,' * 3000}]}}}}",
        "1: 2",
        "~",
        "[]",
    ],
)
def test_an_overlay_of_odd_values_is_read_or_refused_in_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(content)
    status = main(["plan", "--overlay", str(overlay)])
    said = capsys.readouterr().err
    assert (status, bool(said)) == ((0, False) if content in ("~", "[]") else (1, True))
    assert len(said) < 50_000
    assert all(line.startswith(("larder:", "LARDER_OVERLAY: ")) for line in said.splitlines())


def test_a_former_name_of_a_setting_is_planned_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("larder:ollama: {modelCache: {sharedStorage: {enabled: true, storageClassName: nfs-client}}}\n")
    assert main(["plan", "--overlay", str(overlay), "--why"]) == 0
    printed = capsys.readouterr().out
    assert "larder:ollama.modelCache.sharedStorage: is the former name of larder:cache.strategy" in printed
    assert "cache strategy shared-storage\n" in printed
    assert "Drop one of them" not in printed


def test_a_plan_for_tools_is_compared_as_a_comment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after, overlay = tmp_path / "before.json", tmp_path / "after.json", tmp_path / "overlay.yaml"
    overlay.write_text("larder:cache: {strategy: node-local}\n")
    assert main(["plan", "--json", str(before)]) == 0
    assert main(["plan", "--overlay", str(overlay), "--json", str(after)]) == 0
    capsys.readouterr()
    assert main(["comment", "--before", str(before), "--after", str(after)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"- strategy +none\n\+ strategy +node-local\n", printed)
    assert "+ created   Job populate-" in printed


DISK = "larder:cache: {strategy: node-local, node-local: {node: larder, path: /var/lib/larder/models, size: 20Gi}}\n"
ON_DISK = {
    "a larger disk": (("20Gi", "40Gi"), ["! changed   PersistentVolume larder-model-storage +spec.capacity.storage$"]),
    "a smaller disk": (("20Gi", "10Gi"), ["! changed   PersistentVolume larder-model-storage +spec.capacity.storage$"]),
    "another folder": (
        ("larder/models", "other"),
        [r"! refused   PersistentVolume larder-model-storage +spec\.local\.path: protected, so pulumi does not"],
    ),
}


@functools.cache
def plan_for_tools(overlay: str) -> str:
    """Return the file that `make plan JSON=` writes for stack dev with that overlay."""
    with tempfile.TemporaryDirectory() as folder:
        file, plan = Path(folder, "overlay.yaml"), Path(folder, "plan.json")
        file.write_text(overlay)
        assert main(["plan", "--overlay", str(file), "--json", str(plan)]) == 0
        return plan.read_text()


@pytest.mark.parametrize("old", [False, True], ids=["", "before a file of an older version"])
@pytest.mark.parametrize(("change", "told"), ON_DISK.values(), ids=ON_DISK.keys())
def test_a_comment_says_what_pulumi_will_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], told: list[str], old: bool
) -> None:
    files = [tmp_path / "before.json", tmp_path / "after.json"]
    for file, text in zip(files, (DISK, DISK.replace(*change)), strict=True):
        file.write_text(plan_for_tools(text))
    (tmp_path / "overlay.yaml").write_text(DISK.replace(*change))
    if old:
        plan = json.loads(files[0].read_text())
        for resource in plan["resources"]:
            for key in ("aliases", "ignored", "retain-on-delete", "delete-before-replace"):
                del resource[key]
        files[0].write_text(json.dumps(plan))
    capsys.readouterr()
    assert main(["plan", "--overlay", str(tmp_path / "overlay.yaml"), "--before", str(files[0])]) == 0
    swap = capsys.readouterr().out.partition("\nSwap\n")[2].partition("\n\n")[0]
    assert ("refused PersistentVolume larder-model-storage: spec.local.path" in swap) is ("refused" in told[0])
    assert main(["comment", "--before", str(files[0]), "--after", str(files[1])]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if re.match(r"[-+!] \w+ +PersistentVolume", line)]
    assert len(lines) == len(told), lines
    assert all(re.match(pattern, line) for pattern, line in zip(told, lines, strict=True)), lines


def test_a_refused_plan_for_tools_holds_its_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlay, after = tmp_path / "overlay.yaml", tmp_path / "after.json"
    overlay.write_text("larder:cache: {strategy: nfs}\n")
    assert main(["plan", "--overlay", str(overlay), "--json", str(after)]) == 1
    capsys.readouterr()
    assert main(["comment", "--after", str(after)]) == 0
    assert "The settings are refused" in (printed := capsys.readouterr().out)
    assert "larder:cache.strategy: 'nfs' is not one of the choices." in printed


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b'{"schema": 2, "stack": "dev"}', b"\xff"], ids=repr)
def test_an_invalid_plan_file_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    file = tmp_path / "plan.json"
    if content is not None:
        file.write_bytes(content)
    assert main(["comment", "--after", str(file)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{file}: ")


def test_the_stacks_that_a_diff_touches_are_lines_for_a_job(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"docs/a.md\0Pulumi.dev.yaml\0\xff.md\0")))
    assert main(["touched"]) == 0
    assert capsys.readouterr().out == 'stacks=["dev"]\ndeployed=[]\n'


def test_plan_reports_placeholders_for_images(capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan"])
    assert "larder:images: absent, so the plan uses placeholders" in capsys.readouterr().out


def test_plan_is_the_same_every_time(capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan"])
    first = capsys.readouterr().out
    main(["plan"])
    assert capsys.readouterr().out == first


def test_a_refused_stack_is_an_exit_status_and_a_line_for_each_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("larder:cache: {strategy: nfs}\nlarder:models: [nothing]\n")
    assert main(["plan", "--overlay", str(overlay)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.partition(": ")[0] for line in printed.err.splitlines()] == [
        "larder:models[0]",
        "larder:cache.strategy",
    ]


def test_an_unknown_stack_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", "--stack", "produktion"])
    assert ended.value.code == 2
    assert "no Pulumi.produktion.yaml. Known stacks: dev" in capsys.readouterr().err


NO_STACK_FILES = [b"config: [\n", b"- a\n", b"config: [1]\n", b"config: {1: 2}\n", b"\xff", b"config: {a: 1, a: 2}\n"]


@pytest.mark.parametrize("content", NO_STACK_FILES, ids=[content.decode("latin-1") for content in NO_STACK_FILES])
@pytest.mark.parametrize("command", [["plan"], ["render", "--out", "/nowhere"]], ids=["plan", "render"])
def test_an_invalid_stack_file_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    content: bytes,
) -> None:
    for module in ("__main__", "program"):
        monkeypatch.setattr(f"preview.{module}.ROOT", tmp_path)
    (tmp_path / "Pulumi.my.stack.yaml").write_bytes(content)
    assert main([*command, "--stack", "my.stack"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Pulumi.my.stack.yaml: ")


def test_an_encrypted_setting_is_named_without_its_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"{IMAGES}larder:hub: {{endpoint: {{secure: 'v1:hunter2'}}}}\n")
    for command in (["plan"], ["render", "--out", str(tmp_path / "out")]):
        assert main([*command, "--overlay", str(overlay)]) == 1
        assert capsys.readouterr().err == (
            "larder:hub: is encrypted, but none of its settings is a secret. Fix: set it without --secret.\n"
        )


def test_the_environment_can_name_the_overlay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("larder:cache: {strategy: node-local}\n")
    monkeypatch.setenv("LARDER_OVERLAY", str(overlay))
    assert main(["plan"]) == 0
    assert "cache strategy node-local" in capsys.readouterr().out


def test_render_needs_real_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith("larder:images: is missing.")
    assert not (tmp_path / "out").exists()


def test_render_writes_one_file_for_each_resource(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = tmp_path / "images.yaml"
    overlay.write_text(IMAGES)
    call = ["render", "--overlay", str(overlay), "--out", str(tmp_path / "out")]
    assert main(call) == 0
    assert "10 files, 10 changed" in capsys.readouterr().out
    assert main(call) == 0
    assert "10 files, 0 changed" in capsys.readouterr().out
    assert len(list((tmp_path / "out").iterdir())) == 10


@pytest.mark.parametrize("out", ["file", "file/below", "dangling", "folder"])
def test_render_reports_a_path_that_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    (tmp_path / "images.yaml").write_text(IMAGES)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder" / "00-namespace-ai.yaml").mkdir(parents=True)
    assert main(["render", "--overlay", str(tmp_path / "images.yaml"), "--out", str(tmp_path / out)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"--out {tmp_path / out}: cannot write ")
    assert (tmp_path / "file").read_text() == "mine"

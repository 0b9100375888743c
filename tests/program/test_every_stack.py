"""Every stack file under every strategy: what the engine would be told."""

import time
from collections.abc import Callable

import pytest

from components.manifest import DESCRIPTION
from components.planning.recorder import STACK
from components.planning.tree import WIDTH, tree
from tests.program.previews import CASES, PAIRS, STACKS, Preview, refusals

Previews = Callable[..., Preview]


def test_the_six_stacks_are_there() -> None:
    assert STACKS == ["dev", "prod-aws", "prod-azure", "prod-gcp", "staging", "venus"]


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_previews_as_it_is(preview: Previews, stack: str) -> None:
    assert preview(stack=stack).recording.outputs["strategy"]


@pytest.mark.parametrize(("stack", "strategy"), [case for case in PAIRS if case not in CASES])
def test_a_strategy_that_a_stack_cannot_have_is_refused_for_what_it_lacks(stack: str, strategy: str) -> None:
    (line,) = refusals(stack, strategy)
    if strategy == "kserve-cache" and stack == "venus":
        assert line.startswith("larder:node-pools.rocm.labels: lack kserve/localmodel: worker")
    elif strategy == "kserve-cache":
        assert line.startswith("larder:ollama.pool: strategy 'kserve-cache' keeps weights for pods of KServe alone")
    elif stack == "venus":
        assert line.startswith(f"larder:kserve.pool: strategy {strategy!r} brings weights into a pod of ours, ")
    else:
        assert line.startswith(f"larder:cache.{strategy}: is missing, and strategy {strategy!r} needs it.")


@pytest.mark.parametrize(("stack", "strategy"), CASES)
@pytest.mark.parametrize("unknowns", [False, True], ids=["known", "unknown"])
def test_it_previews(preview: Previews, stack: str, strategy: str, unknowns: bool) -> None:
    seen = preview(strategy, stack=stack, unknowns=unknowns)
    assert seen.recording.outputs["strategy"] == strategy
    assert {"Namespace", "Service", "Deployment", "ConfigMap", "NetworkPolicy"} <= {n.split()[0] for n in seen.named()}
    assert not [text for severity, text in seen.recording.messages if severity == "error"]


@pytest.mark.parametrize(("stack", "strategy"), CASES)
def test_names_are_known_before_anything_is_made(preview: Previews, stack: str, strategy: str) -> None:
    known, unknown = preview(strategy, stack=stack), preview(strategy, stack=stack, unknowns=True)
    assert known.named().keys() == unknown.named().keys()


@pytest.mark.parametrize(("stack", "strategy"), CASES)
def test_everything_stands_under_a_parent_and_uses_the_one_provider(
    preview: Previews, stack: str, strategy: str
) -> None:
    seen = preview(strategy, stack=stack)
    (provider,) = [r for r in seen.recording.resources if r.type == "pulumi:providers:kubernetes"]
    for resource in seen.recording.resources:
        assert bool(resource.parent) == (resource.type != STACK), resource.urn
    for resource in seen.objects():
        assert resource.provider.startswith(f"{provider.urn}::"), resource.urn


@pytest.mark.parametrize(("stack", "strategy"), CASES)
def test_every_object_says_what_it_is_for(preview: Previews, stack: str, strategy: str) -> None:
    for name, resource in preview(strategy, stack=stack).named().items():
        assert resource.inputs["metadata"]["annotations"][DESCRIPTION], name


@pytest.mark.parametrize(("stack", "strategy"), CASES)
def test_every_resource_is_a_line_of_the_tree(preview: Previews, stack: str, strategy: str) -> None:
    seen = preview(strategy, stack=stack)
    lines = tree(seen.recording)
    assert len(lines) == len(seen.recording.resources) - 1  # the stack itself is the whole tree
    assert [line for line in lines if not line[WIDTH:].strip()] == []


@pytest.mark.parametrize(("stack", "strategy"), CASES)
def test_every_namespaced_object_waits_for_the_namespace(preview: Previews, stack: str, strategy: str) -> None:
    seen = preview(strategy, stack=stack)
    namespace = seen.one("Namespace")
    for name, resource in seen.named().items():
        if "namespace" in resource.inputs["metadata"]:
            assert resource.inputs["metadata"]["namespace"] == namespace.inputs["metadata"]["name"], name
            assert namespace.urn in resource.dependencies, name


def test_two_previews_of_one_stack_are_the_same() -> None:
    from tests.program.previews import preview_of

    first, second = preview_of("node-local"), preview_of("node-local")
    assert {n: r.inputs for n, r in first.named().items()} == {n: r.inputs for n, r in second.named().items()}


def test_a_preview_costs_less_than_three_seconds_of_processor() -> None:
    from tests.program.previews import preview_of

    began = time.process_time()
    preview_of("none")
    assert time.process_time() - began < 3

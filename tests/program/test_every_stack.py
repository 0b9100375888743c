"""Every stack file under every strategy: the requests to the engine."""

import sys
from collections import Counter
from collections.abc import Callable

import pytest

from components.manifest import DESCRIPTION
from preview.program import record
from preview.recorder import STACK
from preview.tree import WIDTH, tree
from tests.program.previews import CASES, ON_A_SHORT_STACK, PAIRS, STACKS, Preview, config_of, refusals

Previews = Callable[..., Preview]
CALLS = 250_000
"""Twice the Python calls of a preview of stack dev."""


def test_the_six_stacks_are_there() -> None:
    assert STACKS == ["dev", "prod-aws", "prod-azure", "prod-gcp", "staging", "venus"]


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_previews_as_it_is(preview: Previews, stack: str) -> None:
    assert preview(stack=stack).recording.outputs["strategy"]


_OLLAMA_ALONE = "larder:ollama.pool: strategy 'kserve-cache' brings weights into KServe's pods only"
_NO_BLOCK = "larder:cache.node-local: is missing, but strategy 'node-local' requires it."
REFUSED = {
    ("dev", "kserve-cache"): _OLLAMA_ALONE,
    ("prod-aws", "kserve-cache"): _OLLAMA_ALONE,
    ("prod-aws", "node-local"): _NO_BLOCK,
    ("prod-azure", "kserve-cache"): _OLLAMA_ALONE,
    ("prod-azure", "node-local"): _NO_BLOCK,
    ("prod-gcp", "kserve-cache"): _OLLAMA_ALONE,
    ("prod-gcp", "node-local"): _NO_BLOCK,
    ("staging", "kserve-cache"): _OLLAMA_ALONE,
    ("venus", "kserve-cache"): "larder:node-pools.rocm.labels: lack kserve/localmodel: worker",
    ("venus", "none"): "larder:kserve.pool: strategy 'none' brings no weights into KServe's pods",
    ("venus", "prebuilt-image"): "larder:kserve.pool: strategy 'prebuilt-image' brings no weights into KServe's pods",
    ("venus", "shared-storage"): "larder:kserve.pool: strategy 'shared-storage' brings no weights into KServe's pods",
}


def test_every_other_stack_can_have_every_strategy() -> None:
    assert set(PAIRS) - set(CASES) == REFUSED.keys()


@pytest.mark.parametrize(("stack", "strategy"), REFUSED)
def test_an_unsupported_strategy_is_refused_with_the_reason(stack: str, strategy: str) -> None:
    (line,) = refusals(stack, strategy)
    assert line.startswith(REFUSED[stack, strategy])


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
def test_every_resource_has_a_parent_and_the_one_provider(preview: Previews, stack: str, strategy: str) -> None:
    seen = preview(strategy, stack=stack)
    (provider,) = [r for r in seen.recording.resources if r.type == "pulumi:providers:kubernetes"]
    for resource in seen.recording.resources:
        assert bool(resource.parent) == (resource.type != STACK), resource.urn
    for resource in seen.objects():
        assert resource.provider.startswith(f"{provider.urn}::"), resource.urn


@pytest.mark.parametrize(("stack", "strategy"), CASES)
def test_every_object_has_a_description(preview: Previews, stack: str, strategy: str) -> None:
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
    inside = {name: r for name, r in seen.named().items() if "namespace" in r.inputs["metadata"]}
    assert any(name.startswith("Deployment ") for name in inside)
    for name, resource in inside.items():
        assert resource.inputs["metadata"]["namespace"] == namespace.inputs["metadata"]["name"], name
        assert namespace.urn in resource.dependencies, name


def test_two_previews_of_one_stack_are_the_same() -> None:
    from tests.program.previews import preview_of

    first, second = preview_of("node-local"), preview_of("node-local")
    assert {n: r.inputs for n, r in first.named().items()} == {n: r.inputs for n, r in second.named().items()}


def test_a_preview_costs_a_bounded_number_of_calls() -> None:
    """Calls, because seconds depend on the machine; `make bench ONLY=plan` measures those."""
    config, calls = config_of("dev", "none"), Counter[str]()

    def counted() -> None:
        record(config, stack="dev")  # imports are paid once
        sys.setprofile(lambda _, event, __: calls.update((event,)))
        try:
            record(config, stack="dev")
        finally:
            sys.setprofile(None)

    ON_A_SHORT_STACK.submit(counted).result()
    assert 1_000 < calls["call"] < CALLS

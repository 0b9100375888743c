"""Models of each stack, and its requirements on the rest of the config."""

from typing import Any

import pytest

from components.plan.admission import admission, warnings
from components.plan.plan import make_plan
from components.settings.sources import merged
from tests.unit.stack_config import DIGEST, problems, settings

POOLS = {"rocm": {"hosts": ["venus"], "accelerator": "amd.com/gpu"}}
KSERVE: dict[str, Any] = {
    "larder:node-pools": POOLS,
    "larder:models": ["alpha", "gamma"],
    "larder:images": {"vllm": f"registry/vllm@{DIGEST}"},
    "larder:kserve": {"pool": "rocm", "active": "gamma"},
}
THREE = {"larder:models": ["alpha", "gamma", "beta"], "larder:cache": {"node-local": {"size": "9Gi"}}}


LLAMA = {"larder:images": {"llama-server": f"registry/llama@{DIGEST}", "shimmy": f"registry/shimmy@{DIGEST}"}}
BOTH = {**LLAMA, "larder:models": ["alpha", "gamma"], "larder:shimmy": {"pool": "cpu"}}
ONE = {**LLAMA, "larder:ollama": None, "larder:shimmy": {"pool": "cpu"}}


def _served(changes: dict[str, Any]) -> dict[str, list[str]]:
    return {stack: [entry.id for entry in entries] for stack, entries in settings(changes).stacks.items()}


def test_a_stack_serves_the_models_it_names_or_those_that_no_other_names() -> None:
    assert _served(KSERVE) == {"ollama": ["alpha"], "kserve": ["gamma"]}
    named = {"larder:kserve": {"models": ["gamma", "beta"]}}
    assert _served(merged(merged(KSERVE, THREE), named)) == {"ollama": ["alpha"], "kserve": ["gamma"]}
    beta = {"larder:ollama": {"models": ["beta"]}}
    assert _served(merged(merged(KSERVE, THREE), beta)) == {"ollama": ["beta"], "kserve": ["gamma"]}
    shimmy = {**BOTH, "larder:shimmy": {"pool": "cpu", "models": ["alpha"]}}
    assert _served(shimmy) == {"ollama": ["gamma"], "shimmy": ["alpha"]}


def test_a_stack_is_deployed_if_its_block_is_there() -> None:
    assert make_plan(settings()).kserve is None
    assert _served(ONE) == {"shimmy": ["alpha"]}
    alone = settings({**KSERVE, "larder:ollama": None, "larder:models": ["gamma"]})
    assert "ollama" not in make_plan(alone).engines
    assert (alone.default_model, alone.front) == ("gamma", True)


@pytest.mark.parametrize(
    ("changes", "front"), [({}, False), (KSERVE, True), ({"larder:gateway": {"front": True}}, True)]
)
def test_a_front_runs_if_it_is_necessary_or_requested(changes: dict[str, Any], front: bool) -> None:
    plan = make_plan(settings(changes))
    assert (plan.front is not None, plan.engines["ollama"].gateway.place) == (front, "behind" if front else "alone")


def test_only_the_entry_has_routing_rules() -> None:
    shimmy = {"pool": "cpu", "models": ["alpha"]}
    plan = make_plan(settings({**BOTH, "larder:shimmy": shimmy, "larder:gateway": {"routing": {"default": "alpha"}}}))
    assert plan.front
    defaults = [
        gateway.routing.default
        for gateway in (plan.front, plan.engines["shimmy"].gateway, plan.engines["ollama"].gateway)
    ]
    assert defaults == ["alpha", None, None]


def test_the_front_knows_the_stack_of_every_served_model() -> None:
    front = make_plan(settings(KSERVE)).front
    assert front
    assert [(e.name, e.kind, e.url, e.models) for e in front.engines] == [
        ("ollama", "gateway", "http://ollama", ["alpha"]),
        ("kserve", "vllm", "http://active-llm-predictor", ["gamma"]),
    ]
    assert [(m.id, m.engine_name) for m in front.models] == [("alpha", "alpha"), ("gamma", "gamma")]


MI300X = "Standard_ND96isr_MI300X_v5"

BAD: list[tuple[dict[str, Any], str]] = [
    (
        {"larder:kserve": {"pool": "cpu"}},
        "larder:kserve.pool: pool 'cpu' has no amd.com/gpu, which vLLM's ROCm build requires. Fix: choose a pool "
        "whose nodes have it; write `accelerator: amd.com/gpu` in larder:node-pools.cpu if its nodes do; or serve the "
        "model by larder:ollama.",
    ),
    (
        {"larder:cache": {"strategy": "none"}},
        "larder:kserve.pool: strategy 'none' brings no weights into KServe's pods. Fix: choose node-local in "
        "larder:cache.strategy, or serve the model by larder:ollama.",
    ),
    (
        {
            "larder:cluster": {
                "kind": "aks",
                "context": "prod",
                "name": "prod",
                "subscription": "0",
                "resource-group": "prod",
            },
            "larder:node-pools": {pool: {"hosts": None, "instance": MI300X} for pool in ("cpu", "spare", "rocm")},
            "larder:cache": {"strategy": "none", "node-local": None},
        },
        "larder:kserve.pool: strategy 'none' brings no weights into KServe's pods. Fix: choose image-volume in "
        "larder:cache.strategy, or serve the model by larder:ollama.",
    ),
    (
        {"larder:kserve": {"active": "gama"}},
        "larder:kserve.active: 'gama' is not among larder:models. Did you mean 'gamma'? Fix: choose one of "
        "alpha, gamma.",
    ),
    (
        {"larder:ollama": {"models": ["gamma"]}},
        "larder:kserve.active: larder:ollama names 'gamma' too, but one stack serves a model. Fix: name it in one "
        "of them.",
    ),
    (
        {"larder:kserve": {"models": ["alpha"]}, "larder:ollama": {"models": ["gamma"]}},
        "larder:kserve.active: larder:ollama names 'gamma' too, but one stack serves a model. Fix: name it in one "
        "of them.",
    ),
    (
        {"larder:kserve": {"models": ["alpha"], "active": "gamma"}},
        "larder:kserve.active: 'gamma' is not among the models of this block. Fix: list it there, or choose: alpha.",
    ),
    (
        {"larder:models": ["gamma"]},
        "larder:ollama: other stacks name all of larder:models. Fix: add a model, or remove the block.",
    ),
    (
        {"larder:kserve": {"args": ["--model=/etc"]}},
        "larder:kserve.args[0]: '--model=/etc' is not allowed. Fix: write --name=value; the program sets --model, "
        "--served-model-name, --host, --port.",
    ),
    (
        {"larder:gateway": {"front": False}},
        "larder:gateway.front: no gateway leads to all models of larder:kserve and larder:ollama without a front. "
        "Fix: remove the key.",
    ),
    (
        {**THREE, "larder:kserve": {"models": ["gamma", "beta"]}, "larder:gateway": {"routing": {"default": "beta"}}},
        "larder:gateway.routing.default: no stack serves 'beta' now. Fix: choose one of alpha, gamma.",
    ),
    (
        {"larder:node-pools": {"rocm": {"accelerator": "nvidia.com/gpu"}}},
        "larder:node-pools.rocm.accelerator: 'nvidia.com/gpu' is not one of the choices. Did you mean "
        "'amd.com/gpu'? Fix: choose one of amd.com/gpu.",
    ),
]

BESIDE: list[tuple[dict[str, Any], str]] = [
    (
        {"larder:ollama": None, "larder:shimmy": {"pool": "cpu"}},
        "larder:images: larder:shimmy requires llama-server. Fix: write name@sha256:<64 hex digits>; `make up` "
        "passes those of its own images.",
    ),
    (
        BOTH,
        "larder:shimmy.models: is missing, as in larder:ollama. Fix: list the models of one of the two stacks.",
    ),
    (
        {**BOTH, "larder:shimmy": {"pool": "cpu", "models": ["alpha", "gamma"]}},
        "larder:ollama: other stacks name all of larder:models. Fix: add a model, or remove the block.",
    ),
    (
        {**BOTH, "larder:ollama": {"models": ["alpha"]}, "larder:shimmy": {"pool": "cpu", "models": ["alpha"]}},
        "larder:shimmy.models: larder:ollama names 'alpha' too, but one stack serves a model. Fix: name it in one "
        "of them.",
    ),
    (
        {**ONE, "larder:models": ["alpha", "gamma"], "larder:shimmy": {"pool": "cpu", "engine": "shimmy"}},
        "larder:shimmy.models: engine shimmy serves one model and answers every request with it, but the stack has "
        "alpha, gamma. Fix: name one, or choose engine llama-server.",
    ),
    (
        {**ONE, "larder:shimmy": {"pool": "cpu", "engine": "shimmy", "pulls": {}}},
        "larder:shimmy.pulls: shimmy reads its one model at its start, and no file that is pulled later. Fix: use "
        "llama-server.",
    ),
    (
        {**ONE, "larder:shimmy": {"pool": "cpu", "pulls": {"claim": "kept", "size": "1Gi"}}},
        "larder:shimmy.pulls.size: has no effect with a claim, which has its own size. Fix: remove one of the two.",
    ),
    (
        {**ONE, "larder:shimmy": {"pool": "cpu", "engine": "vllm"}},
        "larder:shimmy.engine: 'vllm' is not one of the choices. Fix: choose one of llama-server, shimmy.",
    ),
    (
        {**ONE, "larder:shimmy": {"pool": "cpu", "pulls": {}}, "larder:gateway": {"front": True}},
        "larder:shimmy.pulls: has no effect behind a front, which leads only to the models of larder:models. Fix: "
        "remove it, or the other stacks and larder:gateway.front.",
    ),
    (
        {**BOTH, "larder:shimmy": {"pool": "cpu", "models": ["alpha"], "pulls": {}}},
        "larder:shimmy.pulls: has no effect behind a front, which leads only to the models of larder:models. Fix: "
        "remove it, or the other stacks and larder:gateway.front.",
    ),
]


@pytest.mark.parametrize(("changes", "line"), BAD, ids=[line.partition(": ")[0] for _, line in BAD])
def test_invalid_stacks_are_one_line_with_path_and_fix(changes: dict[str, Any], line: str) -> None:
    assert problems(merged(KSERVE, changes)) == [line]


def test_a_stack_needs_its_image() -> None:
    without = {key: value for key, value in KSERVE.items() if key != "larder:images"}
    assert problems(without) == [
        "larder:images: larder:kserve requires vllm. Fix: write name@sha256:<64 hex digits>; `make up` passes those "
        "of its own images."
    ]


def test_a_file_without_stacks_is_refused() -> None:
    assert problems({"larder:ollama": None}) == [
        "larder:ollama: there is no stack, so nothing serves models. Fix: write larder:ollama, larder:shimmy or "
        "larder:kserve."
    ]


def test_a_stack_without_models_is_one_problem_beside_any_gateway() -> None:
    changes = {"larder:ollama": {"pool": "cpu"}, "larder:shimmy": {"pool": "cpu", "models": ["alpha"]}}
    images = {"larder:images": {"llama-server": f"registry/llama@{DIGEST}"}}
    found = problems(changes | images | {"larder:gateway": {"residency": {"max-models": 2}}})
    assert [line.partition(": ")[0] for line in found] == ["larder:ollama"]


def test_weights_without_a_stack_cause_a_warning() -> None:
    found = settings(merged(merged(KSERVE, THREE), {"larder:ollama": {"models": ["alpha"]}}))
    assert "larder:models: beta: no stack serves it, but its weights are fetched." in list(
        warnings(found, make_plan(found))
    )


def test_a_plan_names_the_resources_on_the_gpu_node() -> None:
    found = settings(KSERVE)
    asked = admission(found, make_plan(found))
    assert ("gpu", "1 amd.com/gpu in pool rocm for vLLM; the old pod ends before the next one starts") in asked
    assert ("memory", "4.2 GiB and 500m cpu on the GPU's node for vLLM") in asked


@pytest.mark.parametrize(("changes", "line"), BESIDE, ids=[line[:40] for _, line in BESIDE])
def test_an_invalid_shimmy_stack_is_one_line_with_the_fix(changes: dict[str, Any], line: str) -> None:
    assert problems(changes) == [line]

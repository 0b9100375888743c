"""Every name in a manifest is valid in Kubernetes, for any names of models, pools, nodes and namespaces."""

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.manifest import object_name
from preview.objects import kind
from preview.program import record
from preview.recorder import Registered
from tests.examples import some_of, up_to
from tests.program.previews import CASES, CATALOG, ON_A_SHORT_STACK, STACKS, Preview, config_of
from tests.unit.stack_config import entry

# Kubernetes' own: apimachinery/pkg/util/validation, apis/core/validation.
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
ENVIRONMENT = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
PORT = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])*")

Rule = Callable[[str, Any], Iterator[str]]

IDS = ("coder-7b-q4_k_m", "a..b", "dots.-and_ends.", "q" * 80, f"{'x_' * 39}x", "0", "a.b-c_d", "ends-in-")
"""Model ids that are invalid names in Kubernetes."""
HOST = f"{'n' * 40}.rack-7.example"
NAMESPACE = "n" * 63
CACHED_BY_KSERVE = {"larder:node-pools": {"rocm": {"labels": {"kserve/localmodel": "worker"}}}}


def _wrong(what: str, name: object, pattern: re.Pattern[str], longest: int) -> Iterator[str]:
    if not (isinstance(name, str) and pattern.fullmatch(name) and len(name) <= longest):
        yield f"{what}: {name!r}"


def _key(what: str, key: str) -> Iterator[str]:
    prefix, slash, name = key.rpartition("/")
    if slash:
        yield from _wrong(what, prefix, SUBDOMAIN, 253)
    yield from _wrong(what, name, QUALIFIED, 63)


def wrong_names(resource: Registered) -> Iterator[str]:
    """Yield the names that the API server, or a controller that makes pods and volumes, would refuse."""
    manifest, made = resource.inputs, kind(resource)
    longest = 63 if made in ("Job", "Service", "Namespace", "LocalModelCache") else 253
    pattern = LABEL if made in ("Service", "Namespace", "InferenceService") else SUBDOMAIN
    yield from _wrong(f"{made} name", manifest["metadata"]["name"], pattern, longest)
    yield from _within(made, manifest)
    for key in (*manifest.get("data", {}), *manifest.get("stringData", {})):
        yield from _wrong(f"{made} key", key, CONFIG_KEY, 253)


def _labels(at: str, found: Any) -> Iterator[str]:
    if not isinstance(found, Mapping) or not all(isinstance(text, str) for text in found.values()):
        return
    for key, text in found.items():
        yield from _key(at, key)
        yield from _wrong(f"{at}[{key}]", text, LABEL_VALUE, 63)


def _annotations(at: str, found: Any) -> Iterator[str]:
    for key in found:
        yield from _key(at, key)


def _expressions(at: str, found: Any) -> Iterator[str]:
    for expression in found:
        yield from _key(at, expression["key"])
        for text in expression.get("values", []):
            yield from _wrong(at, text, LABEL_VALUE, 63)


def _one(pattern: re.Pattern[str], longest: int) -> Rule:
    return lambda at, found: _wrong(at, found, pattern, longest) if isinstance(found, str) else iter(())


def _each(pattern: re.Pattern[str], longest: int) -> Rule:
    def each(at: str, found: Any) -> Iterator[str]:
        for named in found if isinstance(found, list | tuple) else ():
            if isinstance(named, Mapping) and "name" in named:
                yield from _wrong(at, named["name"], pattern, longest)

    return each


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("labels", "matchLabels", "nodeSelector", "selector"), _labels),
    "annotations": _annotations,
    "matchExpressions": _expressions,
    "namespace": _one(LABEL, 63),
    **dict.fromkeys(("claimName", "volumeName", "secretName", "serviceAccountName", "runtime"), _one(SUBDOMAIN, 253)),
    "storageClassName": _one(re.compile(f"({SUBDOMAIN.pattern})?"), 253),
    **dict.fromkeys(("containers", "initContainers", "volumes", "volumeMounts"), _each(LABEL, 63)),
    "ports": _each(PORT, 15),
    "env": _each(ENVIRONMENT, 253),
}


def _within(path: str, value: object) -> Iterator[str]:
    inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        at = f"{path}.{key}"
        if rule := RULES.get(str(key)):
            yield from rule(at, item)
        yield from _within(at, item)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {_renamed(key, names): _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


ONE_IMAGE_EACH = ("image-volume", "prebuilt-image")
WITH_KSERVE = [stack for stack in STACKS if "larder:kserve" in config_of(stack, None)]


def _awkward() -> Iterator[tuple[str, str, int]]:
    """Each stack and strategy with the first ids, which are all where models can be added, and else with the others."""
    for stack, strategy in (*CASES, ("venus", "kserve-cache")):
        yield stack, strategy, 0
        if strategy in ONE_IMAGE_EACH or stack in WITH_KSERVE:
            yield stack, strategy, 4


AWKWARD = some_of(_awkward())


@pytest.fixture
def awkward(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog that has every awkward id too."""
    entries = {**CATALOG.entries, **{model: entry(model) for model in IDS}}
    monkeypatch.setattr(importlib.import_module("components.settings.read"), "load_catalog", lambda _: entries)


@pytest.mark.usefixtures("awkward")
@pytest.mark.parametrize(("stack", "strategy", "first"), AWKWARD)
def test_every_name_is_valid_in_kubernetes(stack: str, strategy: str, first: int) -> None:
    config = config_of(stack, strategy, CACHED_BY_KSERVE if strategy == "kserve-cache" else None)
    hosts = [host for pool in config["larder:node-pools"].values() for host in pool.get("hosts", [])]
    ids = IDS[first:]
    names = {**dict(zip(config["larder:models"], ids, strict=False)), **dict.fromkeys(hosts[:1], HOST)}
    pools = config["larder:node-pools"]
    # Those of clouds have grammars of their own.
    called = {pool: f"{'p' * 30}-{number}" if hosts else pool for number, pool in enumerate(pools)}
    config = _renamed(config, names)
    config["larder:node-pools"] = {called[pool]: _renamed(block, names) for pool, block in pools.items()}
    for block in (*config.values(), *config["larder:cache"].values()):
        if isinstance(block, dict) and "pool" in block:
            block["pool"] = called[block["pool"]]
    config["larder:cluster"]["namespace"] = NAMESPACE
    if strategy not in ONE_IMAGE_EACH and stack not in WITH_KSERVE:
        config["larder:models"] = list(dict.fromkeys((*config["larder:models"], *ids)))
    seen = Preview(ON_A_SHORT_STACK.submit(record, config, stack=stack).result())
    assert len(seen.objects()) > 5
    assert bool(seen.all("LocalModelCache")) == (strategy == "kserve-cache")
    assert [problem for resource in seen.objects() for problem in wrong_names(resource)] == []


@up_to(300)
@given(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True),
    st.from_regex(r"[a-z0-9][a-z0-9._-]{0,79}", fullmatch=True),
)
def test_the_name_of_a_cache_is_a_valid_name_and_label(namespace: str, model: str) -> None:
    name = object_name(f"larder-{namespace}", model, "hf://org/model")
    assert SUBDOMAIN.fullmatch(name)
    assert LABEL_VALUE.fullmatch(name)
    assert len(name) <= 63


def test_names_differ_between_models_and_valid_names_stay() -> None:
    near = [
        object_name("larder-ai", model, "hf://org/model") for model in ("a_b", "a-b", "a..b", "a.-b", "a-b-", "a-b_")
    ]
    assert len(set(near)) == len(near)
    assert object_name("larder-ai", "tinyllama-1.1b-chat", "x").startswith("larder-ai-tinyllama-1.1b-chat-")
    long = [object_name(f"larder-{'n' * 60}{end}", "q" * 80, "x") for end in "ab"]
    assert long[0] != long[1]

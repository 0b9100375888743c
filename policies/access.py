"""Rules for access: to secrets, to engines, and to requests that change state."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import PurePosixPath

from larder_sidecar.config.engines import ENGINES

from manifests.reading import Property, items, mapping, texts

from .pods import SERVICE, Placed, all_containers, main_containers, pods
from .rule import Finding, Level, Resource, Rule, StackRule

DEV = "dev"
"""The only stack whose gateway may be open, since it runs on a developer's machine."""

_NAME = re.compile(
    r"(^|[_.-])(token|password|passwd|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)$"
    r"|[_.-]secret$",
    re.IGNORECASE,
)
"""Pattern of names of secrets. `secret` alone does not match, since it names a Secret."""
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(hf_[A-Za-z0-9]{30,}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{40,}|glpat-[\w-]{20,}|AKIA[0-9A-Z]{16}"
    r"|xox[abpr]-[\w-]{10,}|sk-[\w-]{32,}|pul-[0-9a-f]{40}|eyJ[\w-]{8,}\.eyJ[\w-]{8,})"
    r"|://[^/\s:@]+:[^/\s@]+@"
)
"""Pattern of secrets: private keys, tokens of common services, and passwords in URLs."""


def _find_plain_secrets(resource: Resource) -> Iterator[str]:
    remedy = "Fix: put it into a Secret and refer to that."
    for path, container in all_containers(resource):
        for variable in items(container.get("env")):
            name, value = variable.get("name"), variable.get("value")
            if _is_secret(name, value):
                yield f"{path}.env[{name}]: is a secret in plain text. {remedy}"
        for part in ("command", "args"):
            if any(_is_secret("", argument) for argument in texts(container.get(part))):
                yield f"{path}.{part}: holds a secret in plain text. {remedy}"
    if resource.kind == "ConfigMap":
        for key, text in mapping(resource.props.get("data")).items():
            if any(_is_secret(name, value) for name, value in [(key, text), *_members(text)]):
                yield f"data[{key}]: holds a secret in plain text. {remedy}"


def _is_secret(name: Property, value: Property) -> bool:
    if not isinstance(value, str) or not value:
        return False
    named = isinstance(name, str) and bool(_NAME.search(_WORDS.sub("_", name)))
    # A path or a variable of Kubernetes refers to a secret, and does not hold one.
    return bool(_VALUE.search(value)) or (named and not value.startswith(("/", "$(")))


def _members(text: Property) -> Iterator[tuple[str, Property]]:
    """Yield every key with its value, at any depth of a JSON document."""
    if isinstance(document := _document(text), dict | list):
        waiting: list[Property] = [document]
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict):
                yield from value.items()
            waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _document(text: Property) -> Property:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


_LOOPBACK = re.compile(r"(https?://)?(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d+)?/?")


def _gateway_first(resource: Resource) -> Iterator[str]:
    for pod in pods(resource):
        ends = resource.kind == "Job"
        engines = [(found, part) for part in main_containers(pod) if (found := _engine(part.spec, ends=ends))]
        if engines and not any(map(_is_gateway, items(pod.spec.get("initContainers")))):
            yield (
                f"{pod.path}.initContainers: no gateway runs in the pod of {engines[0][0]}. "
                "Fix: add the gateway as a native sidecar: an init container with restartPolicy Always."
            )
        for engine, part in engines:
            yield from _off_loopback(engine, part)


def _engine(container: Mapping[str, Property], *, ends: bool) -> str | None:
    """Return the engine that the container runs, by its command, its image or its name; None if there is none.

    `ends` is True for a container that runs to completion: its script may inspect an engine's image and start no
    engine. A script of any other container may start one in a way that the check cannot see.
    """
    command, words = texts(container.get("command")), _words(container)
    image = str(container.get("image", "")).partition("@")[0].rpartition("/")[2].partition(":")[0]
    script = " ".join(words[2:]) if command and re.fullmatch("-[a-z]*c", "".join(words[1:2])) else ""
    runs = [PurePosixPath(word).name for word in (*command[:1], *re.findall(r"[\w./-]+", script))]
    named = [*runs, *([] if script and ends else [image]), str(container.get("name"))]
    return next((name for name in named if name in ENGINES and ENGINES[name].listens_by), None)


def _is_gateway(container: Mapping[str, Property]) -> bool:
    words = _words(container)
    return words[:2] == ["larder-sidecar", "gateway"] and container.get("restartPolicy") == "Always"


def _off_loopback(engine: str, container: Placed) -> Iterator[str]:
    if container.spec.get("ports"):
        yield f"{container.path}.ports: {engine} offers a port. Fix: remove it; clients use the gateway's."
    setting = ENGINES[engine].listens_by
    address = _address(setting, container.spec)
    if address is None or (isinstance(address, str) and not _LOOPBACK.fullmatch(address)):
        found = "is not set" if address is None else f"is {address!r}"
        yield f"{container.path}: {setting} {found}, so {engine} listens to others. Fix: set it to 127.0.0.1:<port>."


def _address(setting: str, container: Mapping[str, Property]) -> Property:
    if not setting.startswith("--"):
        variables = items(container.get("env"))
        return next((variable.get("value") for variable in variables if variable.get("name") == setting), None)
    words = _words(container)
    after = (following for word, following in pairwise(words) if word == setting)
    joined = (word.partition("=")[2] for word in words if word.startswith(f"{setting}="))
    return next(iter((*joined, *after)), None)


def _words(container: Mapping[str, Property]) -> list[str]:
    return [*texts(container.get("command")), *texts(container.get("args"))]


def _front_first(resources: Sequence[Resource]) -> Iterator[Finding]:
    policies = [mapping(r.props.get("spec")) for r in resources if r.kind == "NetworkPolicy"]
    policies = [spec for spec in policies if "Ingress" in texts(spec.get("policyTypes"))]
    for service in (resource for resource in resources if resource.kind == SERVICE):
        name = mapping(service.props.get("metadata")).get("name")
        # NetworkPolicies add up: none can refuse what another admits.
        own = [s for s in policies if s.get("podSelector") in ({}, {"matchLabels": {_OF_SERVICE: name}})]
        if not own or not all(map(_admits_named_pods, own)):
            yield (
                service,
                "spec.predictor: no NetworkPolicy restricts its pods to the front. "
                f"Fix: declare one for pods of label {_OF_SERVICE}={name} that admits pods by their labels only.",
            )


_OF_SERVICE = "serving.kserve.io/inferenceservice"


def _admits_named_pods(spec: Mapping[str, Property]) -> bool:
    sources = [source for rule in items(spec.get("ingress")) for source in items(rule.get("from")) or [{}]]
    return all(mapping(source.get("podSelector")).get("matchLabels") for source in sources)


def _find_open_mutations(resource: Resource) -> Iterator[str]:
    if resource.kind != "ConfigMap" or resource.stack == DEV:
        return
    for key, text in mapping(resource.props.get("data")).items():
        if mapping(mapping(_document(text)).get("auth")).get("mutations") == "open":
            yield (
                f"data[{key}]: auth.mutations is 'open': every client of the gateway may change its models. "
                f"Fix: set larder:gateway.auth.mutations to token; only stack {DEV} may have it open."
            )


NO_PLAIN_SECRETS = Rule(
    name="no-plain-secrets",
    level=Level.MANDATORY,
    refuses="A secret as plain text in an environment variable, an argument or a ConfigMap, by its name or its form.",
    why="Everyone who may read pods could read it, and the state of the stack would keep it.",
    check=_find_plain_secrets,
)
GATEWAY_FIRST = Rule(
    name="gateway-first",
    level=Level.MANDATORY,
    refuses="An engine without the gateway as native sidecar, or one that listens beyond loopback.",
    why="Engines do not authenticate clients: past the gateway anyone could pull, delete or exhaust models.",
    check=_gateway_first,
)
FRONT_FIRST = StackRule(
    name="front-first",
    level=Level.MANDATORY,
    refuses="An InferenceService whose pods are open to other pods than those that a NetworkPolicy names.",
    why="KServe's pods take no sidecar, so the front is their only gateway.",
    judge=_front_first,
)
CLOSED_MUTATIONS = Rule(
    name="closed-mutations",
    level=Level.MANDATORY,
    refuses="`larder:gateway.auth.mutations: open` on any stack but dev, read from the gateway's file.",
    why="Without a token every client of the gateway could change what it loads and serves.",
    check=_find_open_mutations,
)

"""Former names of settings: `modelCache` of a Helm chart's `ollama` values, read as larder:cache."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .base import Catalog
from .no_cache import NoCacheSettings
from .problem import Problem
from .room import roomy_for
from .sources import NAMESPACE, merged

OLLAMA, CACHE = f"{NAMESPACE}ollama", f"{NAMESPACE}cache"
_DIGEST = re.compile(r"\S+@sha256:[0-9a-f]{64}")
IMAGE_VOLUME = "image-volume"
_SWITCHES = {"true": True, "false": False}


class _FormerError(ValueError):
    """A former setting that cannot be read as today's block."""


@dataclass
class Understood:
    """The stack config in today's names."""

    raw: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    """A line for each former name in the config, with today's name."""
    problems: list[Problem] = field(default_factory=list)


def understood(raw: Mapping[str, Any], catalog: Catalog) -> Understood:
    """Return the config with `larder:ollama.modelCache` read as larder:cache."""
    done = Understood(dict(raw))
    block = raw.get(OLLAMA)
    if not isinstance(block, Mapping):
        return done
    former = {key: value for key, value in block.items() if _plain(key) == "modelcache"}
    image = {key: value for key, value in block.items() if _plain(key) == "image"} if former else {}
    if not former:
        return done
    done.raw[OLLAMA] = {key: value for key, value in block.items() if key not in {**former, **image}}
    words = _Words(raw, catalog, next(iter(image.values()), None))
    for name, value in former.items():
        for path, strategy, block_of in _wanted(f"{OLLAMA}.{name}", value, words, done):
            _take(done, path, strategy, block_of)
    return done


def _plain(key: object) -> str:
    return re.sub("[-_]", "", str(key)).casefold()


@dataclass(frozen=True)
class _Words:
    """Settings that complete a former one."""

    raw: Mapping[str, Any]
    catalog: Catalog
    image: object
    """The engine's image by its former name: a reference, or {repository, tag}."""

    def block(self, strategy: str) -> Mapping[str, Any]:
        """Return the block of a strategy in larder:cache; empty without one."""
        cache = self.raw.get(CACHE)
        block = cache.get(strategy) if isinstance(cache, Mapping) else None
        return block if isinstance(block, Mapping) else {}

    def models(self) -> list[str]:
        """Return the items of larder:models that are strings."""
        models = self.raw.get(f"{NAMESPACE}models")
        return [model for model in models if isinstance(model, str)] if isinstance(models, list) else []


def _wanted(path: str, value: object, words: _Words, done: Understood) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each strategy that is switched on, with its path and its block."""
    readers = {"prebuiltimage": _prebuilt_image, "sharedstorage": _shared_storage, "harbor": _harbor}
    if not isinstance(value, Mapping):
        done.problems.append(Problem(path, "must be a mapping. Fix: remove it, and write larder:cache: {strategy: …}."))
        return
    for key, inner in value.items():
        at = f"{path}.{key}"
        reader = readers.get(_plain(key))
        if reader is None:
            done.problems.append(Problem(at, "unknown key. Fix: use one of harbor, prebuiltImage, sharedStorage."))
        elif _switch(inner) is False:
            done.notes.append(f"{at}: has no effect. Fix: remove it; {CACHE}.strategy names the strategy in force.")
        else:
            try:
                strategy, block = reader(inner, words)
            except _FormerError as error:
                done.problems.append(Problem(at, str(error)))
            else:
                yield at, strategy, block


def _take(done: Understood, path: str, strategy: str, block: dict[str, Any]) -> None:
    cache = done.raw.get(CACHE)
    chosen = cache.get("strategy") if isinstance(cache, Mapping) else None
    if chosen not in (None, NoCacheSettings.NAME, strategy):
        wanted = f"wants {strategy}, but {CACHE}.strategy is {chosen!r}. Fix: remove one of them."
        done.problems.append(Problem(path, wanted))
        return
    more = {strategy: block} if block else {}
    done.raw[CACHE] = merged(merged(more, cache if isinstance(cache, Mapping) else {}), {"strategy": strategy})
    settings = ", ".join(f"{key}: {value}" for key, value in block.items())
    line = f"{{strategy: {strategy}{f', {strategy}: {{{settings}}}' if block else ''}}}"
    done.notes.append(f"{path}: is the former name of {CACHE}.strategy. Fix: write {CACHE}: {line}.")


def _switch(value: object) -> bool | None:
    """Tell if a former setting is on or off; None if it says neither."""
    if isinstance(value, Mapping):
        return next((_switch(inner) for key, inner in value.items() if _plain(key) == "enabled"), None)
    return value if isinstance(value, bool) else _SWITCHES.get(str(value).casefold())


def _fields(value: object, **known: str) -> dict[str, str]:
    """Return the values of a mapping by today's keys. `known` maps former keys to them."""
    if not isinstance(value, Mapping):
        return {}
    found = {}
    for key, inner in value.items():
        if _plain(key) == "enabled":
            continue
        if (today := known.get(_plain(key))) is None or not isinstance(inner, str | int | float):
            names = ", ".join(dict.fromkeys(["enabled", *known.values()]))
            msg = f"{key} is not a known key with text. Fix: use one of {names}."
            raise _FormerError(msg)
        found[today] = str(inner)
    return found


def _prebuilt_image(value: object, words: _Words) -> tuple[str, dict[str, Any]]:
    given = _fields(value, image="image", repository="repository", tag="tag", digest="digest")
    if isinstance(value, str) and _switch(value) is None:
        given = {"image": value}
    engine = _fields(words.image, repository="repository", tag="tag", digest="digest")
    image = given.get("image") or _joined(given) or (words.image if isinstance(words.image, str) else _joined(engine))
    if _DIGEST.fullmatch(image):
        return "prebuilt-image", {"image": image}
    if words.block("prebuilt-image"):
        return "prebuilt-image", {}
    what = f"{image!r} is not a digest reference" if image else "names no image"
    name = image.partition("@")[0].partition(":")[0] or "name"
    msg = (
        f"{what}. Fix: write {CACHE}: {{strategy: prebuilt-image, prebuilt-image: {{image: {name}@sha256:…}}}} with "
        "the reference that `larder-sidecar publish --engine` prints."
    )
    raise _FormerError(msg)


def _joined(parts: Mapping[str, str]) -> str:
    if not (repository := parts.get("repository")):
        return ""
    if digest := parts.get("digest"):
        return f"{repository}@{digest}"
    return f"{repository}:{parts['tag']}" if parts.get("tag") else repository


def _shared_storage(value: object, words: _Words) -> tuple[str, dict[str, Any]]:
    names = {"storageclassname": "storage-class", "storageclass": "storage-class", "size": "size"}
    given = _fields(value, **names, existingclaim="claim", claim="claim")
    if isinstance(value, str) and _switch(value) is None:
        given = {"storage-class": value}
    block = words.block("shared-storage")
    total = sum(entry.bytes for model in words.models() if (entry := words.catalog.entries.get(model)))
    size = given.get("size") or roomy_for(total)
    if block:
        return "shared-storage", {}
    if not given.get("storage-class") and not given.get("claim"):
        msg = (
            f"names no class of storage. Fix: write {CACHE}: {{strategy: shared-storage, shared-storage: "
            f"{{storage-class: <a class that gives ReadWriteMany volumes>, size: {size}}}}}."
        )
        raise _FormerError(msg)
    return "shared-storage", {**given, "size": size}


def _harbor(value: object, words: _Words) -> tuple[str, dict[str, Any]]:
    given = _fields(value, registry="registry", project="project")
    if isinstance(value, str) and _switch(value) is None:
        given = {"registry": value}
    if words.block(IMAGE_VOLUME):
        return IMAGE_VOLUME, {}
    place = "/".join(filter(None, (given.get("registry", "<registry>"), given.get("project", ""))))
    images = ", ".join(f"{model}: {place}/{model}@sha256:…" for model in words.models() or ["<model>"])
    msg = (
        f"Ollama pulls nothing from Harbor by itself; nodes pull images of the weights. Fix: write {CACHE}: "
        f"{{strategy: image-volume, image-volume: {{images: {{{images}}}}}}} with the digests that "
        "`larder-sidecar publish` prints."
    )
    raise _FormerError(msg)

"""Needs of the strategy in force from the cluster, for these settings."""

from dataclasses import replace
from urllib.parse import urlsplit

from ..settings import Settings
from ..settings.quantities import readable
from ..settings.room import pod_copy
from ..settings.strategy import Need


def list_needs(settings: Settings) -> list[Need]:
    """Return the needs of the strategy in force, with origins and sizes filled in."""
    plan = settings.weights
    origins = sorted({_origin(file.url) for model in plan.models for file in model.files})
    words = {"{sources}": " and ".join(origins), "{copy}": readable(pod_copy(plan.total_bytes()))}
    filled = []
    for need in settings.cache.block.NEEDS:
        what = need.what
        for word, value in words.items():
            what = what.replace(word, value)
        filled.append(replace(need, what=what))
    return filled


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

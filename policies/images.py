"""Rule for images: references by digest."""

import re
from collections.abc import Iterator

from manifests.reading import Property, items, mapping

from .pods import SERVICE, all_containers, pods
from .rule import Level, Resource, Rule

_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")


def _find_tags(resource: Resource) -> Iterator[str]:
    for path, container in all_containers(resource):
        if resource.kind == SERVICE and "image" not in container:
            continue  # its runtime names one
        yield from _reference(f"{path}.image", container.get("image", ""))
    for path, pod in pods(resource):
        for volume in items(pod.get("volumes")):
            if image := mapping(volume.get("image")):
                where = f"{path}.volumes[{volume.get('name', '')}].image.reference"
                yield from _reference(where, image.get("reference", ""))


def _reference(path: str, reference: Property) -> Iterator[str]:
    if isinstance(reference, str) and not _DIGEST.fullmatch(reference):
        yield f"{path}: {reference!r} has no digest. Fix: write name@sha256:<64 hex digits>."


PINNED_IMAGES = Rule(
    name="pinned-images",
    level=Level.MANDATORY,
    refuses="An image, or an image volume, that is not named by its digest.",
    why="A tag can move: other code or other weights would run without a reviewed change.",
    check=_find_tags,
)

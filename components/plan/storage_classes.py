"""Advice on the default storage classes of clusters."""

from collections.abc import Iterator

from ..settings import Settings
from ..settings.shared_storage import SharedStorageSettings


def about_classes(settings: Settings) -> Iterator[str]:
    """Yield a line if the storage class of the shared volume is known to be wrong or slow."""
    shared = settings.cache.of(SharedStorageSettings)
    if shared is None or shared.storage_class is None:
        return
    if advice := settings.cluster.FACTS.storage_classes.get(shared.storage_class):
        yield f"larder:cache.shared-storage.storage-class: {shared.storage_class} {advice}"

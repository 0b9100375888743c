"""Folders of the node's disk as volumes that many pods mount, in place of NFS (docs/testing.md)."""

import os
from typing import Any

from .layout import DISK, DISK_INSIDE


def make_folder(folder: str) -> None:
    """Make a folder of the data disk that the sidecar's user may write to."""
    place = DISK / folder
    place.mkdir(parents=True, exist_ok=True)
    os.chown(place, 1000, 1000)


def volume(name: str, folder: str, *, size: str, storage_class: str) -> dict[str, Any]:
    """Return a PersistentVolume over a folder of the data disk; pods wait if the folder is missing."""
    spec = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteMany"],
        "storageClassName": storage_class,
        "hostPath": {"path": str(DISK_INSIDE / folder), "type": "Directory"},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}

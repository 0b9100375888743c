"""Model folders: `models/<id>/` has the files of a model under their own names, for engines that mount one folder.

They are hard links, because such a mount shows only that folder. Hard links cost no bytes.
"""

import os
from pathlib import Path

from ...config.weights import MODEL_FOLDERS, WeightsPlan
from ..errors import StoreError
from .disk import SCRATCH, place_atomically, translate_os_errors
from .marker import first_pulls, sha256_of
from .ollama_layout import blob_path


def make_model_folders(plan: WeightsPlan, root: Path) -> None:
    """Make the folders in a store that holds the plan; a second run, even in parallel, is harmless. Raises FetchError.

    Killed at any moment, a file is there whole or not at all: it is linked aside and renamed into place.
    """
    recorded = first_pulls(root)
    inside = root.resolve()
    with translate_os_errors(root):
        for model in plan.models:
            for file in model.files:
                target = root / MODEL_FOLDERS / model.id / file.path
                if not target.parent.resolve().is_relative_to(inside):
                    raise StoreError(f"{target.parent} leads out of the store", "Remove the link.")
                _link(root / blob_path(sha256_of(file, recorded)), target, scratch=root / SCRATCH)


def _link(source: Path, target: Path, *, scratch: Path) -> None:
    if target.exists() and target.samefile(source):
        return
    with place_atomically(target, scratch=scratch) as temporary:
        os.link(source, temporary)

"""The model catalog: the schema of catalog/models/*.yaml and the reader of that folder."""

from .models import CatalogEntry, load_catalog

__all__ = ["CatalogEntry", "load_catalog"]

"""Adapter of Shimmy 2: one model per process, read at its first request; new files are not noticed."""

from .adapter import COMMON, Adapter


class Shimmy(Adapter):
    """Shimmy. The model that was loaded first answers to any name: src/engine/airframe.rs of 2.5."""

    kind = "shimmy"
    health_path = "/health"
    paths = COMMON

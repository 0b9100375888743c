"""Shimmy 2: one model a process, read when it is first asked for; no file is noticed after the start."""

from .adapter import COMMON, Adapter


class Shimmy(Adapter):
    """Whatever name it lists, the model that was loaded first answers: src/engine/airframe.rs of 2.5."""

    kind = "shimmy"
    health_path = "/health"
    paths = COMMON

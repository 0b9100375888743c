"""A stack file as the checks see it."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from larder_sidecar.catalog import CatalogEntry

from .base import Catalog
from .manager import Manager
from .problem import Unread
from .root import Settings
from .stack import StackSettings
from .stacks import STACKS


@dataclass(frozen=True, kw_only=True)
class StackFile:
    """A stack file as far as it could be read. Access to a setting that could not be read raises Unread."""

    stack: str
    """Name of the stack."""
    catalog: Catalog
    written: frozenset[str]
    """Keys of the blocks in the file without the namespace, whether they could be read or not."""
    has_token: bool
    """True if larder:api-token is set."""
    notes: tuple[str, ...] = ()
    """A line for each former name in the file, with today's name."""
    blocks: Mapping[str, Any] = field(default_factory=dict)
    """The blocks that could be read, by their fields in `Settings`; one of them perhaps in part."""

    @cached_property
    def settings(self) -> Settings:
        """Return the settings with these blocks."""
        return Settings.of_blocks(self.blocks, catalog=self.catalog, has_token=self.has_token, notes=self.notes)

    @property
    def entries(self) -> tuple[CatalogEntry, ...]:
        """Return the catalog entries of larder:models."""
        return self.settings.entries

    @property
    def stacks(self) -> dict[str, type[StackSettings]]:
        """Return the class of each stack block in the file, whether it could be read or not."""
        return {name: stack for name, stack in STACKS.items() if name in self.written}

    @property
    def read(self) -> dict[str, StackSettings]:
        """Return the stack blocks that could be read."""
        found = {}
        for name, stack in self.stacks.items():
            with suppress(Unread):
                if block := self.settings.of(stack):
                    found[name] = block
        return found

    @property
    def on_cloud(self) -> bool:
        """Tell if a cloud makes the nodes. A cluster that could not be read counts as one with nodes of its own."""
        with suppress(Unread):
            return self.settings.cluster.makes_machines
        return False

    @property
    def manager(self) -> Manager:
        """Return larder:manager. Raises Unread if the file has none."""
        if self.settings.manager is None:
            raise Unread.setting("larder:manager")
        return self.settings.manager

    def before(self, stack: StackSettings) -> Iterator[tuple[str, StackSettings]]:
        """Yield the names and blocks of the stacks that stand before this one in the registry."""
        for name, block in self.read.items():
            if block is stack:
                return
            yield name, block

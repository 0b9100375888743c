"""The base of every component: a type token chosen once, and children that know their parent."""

from typing import ClassVar

import pulumi


class Component(pulumi.ComponentResource):
    """A part of the platform. The first line of a subclass's docstring says what it is for; `make plan` shows it."""

    TYPE: ClassVar[str]
    """`larder:<module>:<Class>`. Part of every child's URN: changing it replaces what is deployed."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, None, opts)

    def child(self, more: pulumi.ResourceOptions | None = None) -> pulumi.ResourceOptions:
        """Options of a resource that belongs to this component."""
        return pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), more)

"""The base of every component: a type token chosen once, and children that know their parent."""

from typing import ClassVar

import pulumi


class Component(pulumi.ComponentResource):
    """A part of the platform. `make plan` shows the first line of each subclass's docstring as its purpose."""

    TYPE: ClassVar[str]
    """`larder:<module>:<Class>`. Every child's URN contains it, so a change replaces the deployed resources."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, None, opts)

    def child(self, more: pulumi.ResourceOptions | None = None) -> pulumi.ResourceOptions:
        """Return the options of a resource that belongs to this component."""
        return pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), more)

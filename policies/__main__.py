"""The entry point of `pulumi --policy-pack policies`."""

from policies.pack import serve

serve()

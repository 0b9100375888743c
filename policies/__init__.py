"""Policy rules for every stack, with one implementation for `make plan` and `pulumi --policy-pack policies`.

The package imports no settings and no components, so that it starts fast and checks only declared resources.
"""

"""The plan of a stack before a resource exists: sizes, admission, needs and support, computed from its settings."""

"""Facts about a stack before a resource exists: sizes, admission, needs and support, as values of its settings."""

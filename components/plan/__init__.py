"""What a stack comes to before a resource exists: sizes, admission, needs and support, as values of its settings."""

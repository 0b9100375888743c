"""Images of the embedded cluster, and of the tests that run on it."""

"""Which models stay in an engine's memory: the decision as a function, and the one loop that acts on it."""

"""Images of weights: made from a store, pushed to a registry."""

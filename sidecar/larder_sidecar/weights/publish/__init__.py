"""Images of weights: made from a store and pushed to a registry.

Imports of other wings: client, download, sources, store.
"""

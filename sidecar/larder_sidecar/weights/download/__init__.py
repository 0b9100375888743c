"""Downloads: files from a source into a store or a folder, verified, resumable, all or nothing.

Imports of other wings: client, sources, store.
"""

"""Weights: downloaded from their sources into a store, verified and resumable, and published from it as images.

The packages are wings, and each names the wings that it imports. The modules in this folder are common ground: every
wing may import them, and they import no wing.
"""

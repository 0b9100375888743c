"""Weights: downloaded from their sources into a store, verified and resumable, and published from it as images.

publish → download → sources → client → the modules beside this one; publish and download → store → those modules.
"""

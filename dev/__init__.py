"""The commands of a developer's machine: `make up`, `down`, `url`, `clean`, `venv` and `clouds`.

They need the standard library alone, for they make the environment; `images.wanted` runs in it. The embedded cluster is
the package `testbed`, and `embedded` is the one module that imports it.
"""

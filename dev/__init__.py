"""The commands of a developer's machine: `make up`, `down`, `url`, `clean`, `venv` and `clouds`. Standard library only.

The embedded cluster is the package `testbed`; `embedded` alone imports it.
"""

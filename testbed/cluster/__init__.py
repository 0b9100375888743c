"""A single-node Kubernetes whose every process, mount and link lives in namespaces that end with one process.

`cluster.py` is the outside: start, ask, drop. `supervisor.py` is the inside: process 1 of those namespaces.
"""

"""Sources of files: hubs, web servers and OCI artifacts.

Imports of other wings: client.
"""

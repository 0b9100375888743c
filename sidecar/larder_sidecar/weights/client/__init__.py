"""The one HTTP client: it decides which hosts a request may reach, where credentials go, and what a refusal means.

Imports of other wings: nothing.
"""

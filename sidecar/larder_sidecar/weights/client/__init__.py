"""The one HTTP client: it decides which hosts a request may reach, which of them get credentials, and what a refusal means.

Imports of other wings: nothing.
"""

"""The one HTTP client: it decides which hosts a request may reach, who gets credentials, and what a refusal means.

Imports of other wings: nothing.
"""

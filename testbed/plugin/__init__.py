"""Stand-ins for the two Pulumi plugins that cannot be had where only package registries answer.

`kubernetes` speaks Pulumi's resource provider protocol to a real API server, `language_host` runs a Python program for
the Pulumi CLI. Neither is the official plugin, and neither is used where the official one is there.
"""

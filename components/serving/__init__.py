"""Engines and the gateway beside them."""

"""Decides at run time: which model answers, how long it stays loaded, what is downloaded, what is active."""

__version__ = "0.1.0"

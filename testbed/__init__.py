"""The embedded cluster behind `make up`, the stand-in plugin, and the runner of `make e2e`; never shipped."""

"""The embedded cluster and the offline toolchain behind `make up` and `make e2e`; stdlib only, never shipped."""

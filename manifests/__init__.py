"""Readers of Kubernetes manifests for policies and previews. This package imports no other one of the repository."""

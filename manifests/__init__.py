"""Shared ground of policies and previews: reads Kubernetes manifests, and imports no other package of ours."""

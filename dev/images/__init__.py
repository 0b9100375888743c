"""Images for the cluster, built without a docker daemon and pushed to its registry by digest."""

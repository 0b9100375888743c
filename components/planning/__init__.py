"""What can be known before anything is deployed: the plan without a CLI, a cluster, a plugin or credentials."""

"""Everything about previews: the program run without CLI, cluster, plugin or credentials, compared and described."""

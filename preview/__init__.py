"""Previews of the program, without CLI, cluster, plugin or credentials, and their comparison."""

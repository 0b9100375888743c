"""Sources of files: hubs, web servers and OCI artifacts, asked through the client."""

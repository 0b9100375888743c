"""The programs of the embedded cluster, built once from pinned sources into the user's cache."""

"""The programs nobody can download here, built once from pinned sources into the user's cache."""

"""The page at /ui: three files, served as they are."""

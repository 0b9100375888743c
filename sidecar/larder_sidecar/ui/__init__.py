"""The page at /ui: three files, served unchanged."""

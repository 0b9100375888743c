"""Programs that package registries do not offer, built once from pinned sources into the user's cache."""

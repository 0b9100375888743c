"""One adapter an engine: the only places that know an engine's own API."""

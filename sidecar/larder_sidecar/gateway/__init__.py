"""The gateway role: a streaming proxy in front of one engine. `wire` moves bytes, the rest decides where they go."""

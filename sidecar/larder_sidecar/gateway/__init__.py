"""The gateway role: a streaming proxy in front of one engine. `http` moves bytes, the rest decides where they go."""

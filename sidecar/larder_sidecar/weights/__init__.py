"""The fetch role: weights from a hub into the engine's store, verified, resumable, all or nothing."""

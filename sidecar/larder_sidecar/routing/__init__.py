"""Which model a request means that does not say: rules over what the user wrote last."""

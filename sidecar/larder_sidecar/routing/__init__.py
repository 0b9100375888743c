"""Choice of a model for requests that name none: rules over the user's last message."""

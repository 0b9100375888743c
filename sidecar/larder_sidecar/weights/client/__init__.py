"""The one HTTP client: it decides where a connection may lead, who gets credentials, and what a refusal means."""

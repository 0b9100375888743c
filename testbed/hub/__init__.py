"""A local hub that speaks Hugging Face's download protocol, and tiny models to put on it; stdlib only."""

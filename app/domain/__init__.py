"""Rules and words without any input or output."""

"""The command `earmark`."""

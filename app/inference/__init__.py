"""Compute: decoding, constant-Q transform, picture, network. Used by workers only; the web process never loads it."""

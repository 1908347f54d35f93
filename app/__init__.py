"""Earmark listens to recordings and earmarks each with a genre."""

__version__ = "0.1.0"

"""Persistence: tables, queries and the unit of work."""

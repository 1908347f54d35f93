"""The only place with SQL: one module a noun, plain functions over a session."""

"""Use-cases. Plain functions that take a unit of work and the caller; they never commit."""

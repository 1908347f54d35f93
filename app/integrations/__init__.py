"""The outside: storage, queue, doorbell, identity provider."""

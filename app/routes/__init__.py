"""HTTP: the API and the portal, two skins over the same services."""

"""An identity provider within the test's own process: tests say what it answers and sign what they like."""

from __future__ import annotations

from typing import Any

import httpx2
from joserfc.jwk import KeySet, RSAKey

ISSUER = "https://login.test"


def make_signing_key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


KEY, NEW_KEY, FOREIGN_KEY = make_signing_key("a"), make_signing_key("b"), RSAKey.generate_key(2048, {"kid": "a"})


class FakeIssuer:
    """Answers a provider's requests in the process; tests say what it answers."""

    def __init__(self) -> None:
        self.keys = [KEY]
        self.key_requests = 0
        self.id_token = ""
        self.introspection: dict[str, Any] = {"active": False}
        self.introspected: list[str] = []
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "introspection_endpoint": f"{ISSUER}/introspect",
            "authorization_response_iss_parameter_supported": True,
        }

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        match request.url.path:
            case "/.well-known/openid-configuration":
                return httpx2.Response(200, json=self.metadata)
            case "/keys":
                self.key_requests += 1
                return httpx2.Response(200, json=KeySet(self.keys).as_dict(private=False))
            case "/token":
                return httpx2.Response(
                    200, json={"access_token": "access", "token_type": "Bearer", "id_token": self.id_token}
                )
            case "/introspect":
                self.introspected.append(request.content.decode())
                return httpx2.Response(200, json=self.introspection)
        return httpx2.Response(404)

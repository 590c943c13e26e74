"""People who sign in over HTTP, with the codes that the outbox of a developer shows."""

from __future__ import annotations

from typing import Any

import httpx

ACCEPTED = 202


async def ask_for_code(api: httpx.AsyncClient, **contact: str) -> str:
    """Has a code sent and reads it where a developer would."""
    sent = await api.post("/v1/auth/otp", json=contact)
    assert sent.status_code == ACCEPTED, sent.text
    assert sent.json() == {"expires_in": 600}
    return await read_code(api, *contact.values())


async def read_code(api: httpx.AsyncClient, to: str) -> str:
    """The newest code sent to an address."""
    outbox = await api.get("/dev/outbox", params={"to": to}, headers={"Accept": "application/json"})
    newest: dict[str, Any] = outbox.json()["items"][0]
    assert newest["to"] == to.lower()
    code: str = newest["code"]
    assert code in newest["text"]
    return code


async def tell_code(api: httpx.AsyncClient, code: str, **contact: str) -> httpx.Response:
    """Tries to sign in with a code."""
    return await api.post("/v1/auth/token", json={"grant_type": "otp", "code": code, **contact})


async def sign_in(api: httpx.AsyncClient, **contact: str) -> dict[str, Any]:
    """Signs in by a code, and answers the tokens."""
    code = await ask_for_code(api, **contact)
    return tokens_of(await tell_code(api, code, **contact))


async def refresh(api: httpx.AsyncClient, token: str) -> httpx.Response:
    """Uses a refresh token."""
    return await api.post("/v1/auth/token", json={"grant_type": "refresh", "refresh_token": token})


def tokens_of(response: httpx.Response) -> dict[str, Any]:
    """The tokens of a call that was answered with some."""
    assert response.status_code == httpx.codes.OK, response.text
    tokens: dict[str, Any] = response.json()
    return tokens


def header_of(tokens: dict[str, Any]) -> dict[str, str]:
    """How somebody who signed in calls."""
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def wrong(code: str) -> str:
    """A code that is not this one."""
    return f"{(int(code) + 1) % 1_000_000:06}"

"""Calls of a merchant on what is their own."""

from __future__ import annotations

from pintuan.api_keys.schemas import ApiKey, MadeApiKey, NewApiKey
from pintuan.client.caller import Caller
from pintuan.client.transport import Call, quoted
from pintuan.page import Page


class MerchantCalls(Caller):
    """API keys of the merchant who calls."""

    async def create_api_key(self, key: NewApiKey) -> MadeApiKey:
        """Makes a key that calls as the merchant; its secret is in this answer and in no other."""
        return await self.session.send(Call("POST", "/v1/merchant/api-keys", MadeApiKey, body=key))

    async def list_api_keys(self, *, limit: int | None = None, cursor: str | None = None) -> Page[ApiKey]:
        """Returns a page of the merchant's keys, newest first."""
        query = {"limit": limit, "cursor": cursor}
        return await self.session.send(Call("GET", "/v1/merchant/api-keys", Page[ApiKey], query=query))

    async def delete_api_key(self, key_id: str) -> None:
        """Ends a key for good."""
        await self.session.send(Call("DELETE", f"/v1/merchant/api-keys/{quoted(key_id)}", type(None)))

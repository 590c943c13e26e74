"""Calls on invitations."""

from __future__ import annotations

from pintuan.client.caller import Caller
from pintuan.client.transport import Call, Part, quoted
from pintuan.reach.invites.schemas import Funnel, Invites, InvitesAccepted, NewInvites, Referrals


class InviteCalls(Caller):
    """Invitations of people to a group, and their results."""

    async def invite_to_group(self, group_id: str, invites: NewInvites) -> InvitesAccepted:
        """Sends each recipient a personal link to a group the caller is in; repeating it is harmless."""
        path = f"/v1/groups/{quoted(group_id)}/invites"
        return await self.session.send(Call("POST", path, InvitesAccepted, body=invites))

    async def list_invites(self, group_id: str) -> Invites:
        """Returns the caller's own invitations to a group, with how far each came."""
        return await self.session.send(Call("GET", f"/v1/groups/{quoted(group_id)}/invites", Invites))

    async def get_funnel(self, deal_id: str) -> Funnel:
        """Returns how people came to the groups of a deal of the merchant."""
        return await self.session.send(Call("GET", f"/v1/merchant/deals/{quoted(deal_id)}/funnel", Funnel))

    async def list_referrals(
        self, group_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Referrals:
        """Returns a page of who brought whom into a group of the merchant."""
        path = f"/v1/merchant/groups/{quoted(group_id)}/referrals"
        return await self.session.send(Call("GET", path, Referrals, query={"limit": limit, "cursor": cursor}))

    async def ask_to_unsubscribe(self, token: str) -> str:
        """Returns the page that asks; it changes nothing."""
        path = f"/v1/unsubscribe/{quoted(token)}"
        return (await self.session.send(Call("GET", path, Part, signed=False))).content.decode()

    async def unsubscribe(self, token: str) -> None:
        """Stops the kind of messages that a link's token names, to the recipient it was made for."""
        await self.session.send(Call("POST", f"/v1/unsubscribe/{quoted(token)}", Part, signed=False))

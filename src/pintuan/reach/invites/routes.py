"""`/v1/groups/{id}/invites`, and what merchants see of invitations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from litestar import Response, Router, get, post
from litestar.params import FromPath, JSONBody

from pintuan.base.auth import SELLERS, check_role, requires_role
from pintuan.base.errors import NotFound
from pintuan.http.bodies import ApiRequest
from pintuan.http.client_address import limit_key_of
from pintuan.http.documentation.codes import problem_codes
from pintuan.http.pagination import LIMIT_DEFAULT, CursorParameter, LimitParameter, decode_cursor, page_of
from pintuan.http.parameters import InjectedResources
from pintuan.people.notifications.post import post_of
from pintuan.reach.invites import service, store
from pintuan.reach.invites.schemas import (
    Funnel,
    FunnelChannel,
    Invites,
    InvitesAccepted,
    NewInvites,
    Referrals,
)
from pintuan.reach.invites.service import InviteSender

if TYPE_CHECKING:
    from pintuan.base.process import Resources

ACCEPTED: Final = 202
BUYERS: Final = frozenset({"buyer"})
NO_STORE: Final = {"cache-control": "no-store"}


@post(
    "/v1/groups/{group_id:str}/invites",
    tags=["groups"],
    guards=[requires_role("buyer")],
    status_code=ACCEPTED,
    summary="Invite people to a group",
    opt=problem_codes("group_closed"),
)
async def invite_to_group(
    group_id: FromPath[str],
    data: JSONBody[NewInvites],
    request: ApiRequest,
    resources: InjectedResources,
) -> InvitesAccepted:
    """Sends each recipient a personal link, for members; nobody is invited twice by the same member.

    While the member's payment is being authorised, the invitations wait for it; if it is refused, they are
    never sent. A repeated call is harmless, so there is no idempotency key.
    """
    inviter = check_role(request.user, BUYERS).subject
    outcomes = await _sender_of(resources).send(
        group_id, inviter, data, client_key=limit_key_of(request.scope)
    )
    return InvitesAccepted(outcomes)


@get(
    "/v1/groups/{group_id:str}/invites",
    tags=["groups"],
    guards=[requires_role("buyer")],
    summary="My invitations to a group",
)
async def list_invites(
    group_id: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[Invites]:
    """Answers the caller's own invitations, with how far each came; nobody else's."""
    inviter = check_role(request.user, BUYERS).subject
    invites = await service.list_invites(
        resources.pool,
        resources.keyring,
        group_id,
        inviter,
        share_base=resources.settings.share_base,
    )
    return Response(invites, headers=NO_STORE)


@get(
    "/v1/merchant/deals/{deal_id:str}/funnel",
    tags=["merchants"],
    guards=[requires_role("merchant")],
    summary="How people came to a deal's groups",
)
async def get_funnel(
    deal_id: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[Funnel]:
    """Answers by channel how many were invited, followed the link, joined, were authorised, and paid."""
    seller = check_role(request.user, SELLERS)
    merchant_id = None if seller.role == "admin" else seller.subject
    if not await store.has_deal(resources.pool, deal_id, merchant_id):
        raise NotFound("deal")
    sums = await store.funnel_of_deal(resources.pool, deal_id)
    channels = [
        FunnelChannel(
            channel=one.channel or "other",
            invited=one.invited,
            opened=one.opened,
            joined=one.joined,
            authorised=one.authorised,
            settled=one.settled,
        )
        for one in sums
    ]
    return Response(Funnel(deal_id=deal_id, channels=channels), headers=NO_STORE)


@get(
    "/v1/merchant/groups/{group_id:str}/referrals",
    tags=["merchants"],
    guards=[requires_role("merchant")],
    summary="Who brought whom into a group",
)
async def list_referrals(
    group_id: FromPath[str],
    request: ApiRequest,
    resources: InjectedResources,
    limit: LimitParameter = LIMIT_DEFAULT,
    cursor: CursorParameter = None,
) -> Response[Referrals]:
    """Answers a page of the group's orders with whose invitation each came by, the oldest first.

    The opaque references make a tree.
    """
    seller = check_role(request.user, SELLERS)
    merchant_id = None if seller.role == "admin" else seller.subject
    after = decode_cursor(cursor)
    rows = await store.members_by_inviter(resources.pool, group_id, merchant_id, after=after, limit=limit + 1)
    if not rows and (
        after is None
        or not await store.members_by_inviter(resources.pool, group_id, merchant_id, after=None, limit=1)
    ):
        # A group is opened by its first order.
        raise NotFound("group")
    page = page_of(rows, limit=limit, item=lambda row: row[1], place=lambda row: (row[1].joined_at, row[0]))
    return Response(Referrals(group_id, page.items, page.next_cursor), headers=NO_STORE)


def _sender_of(resources: Resources) -> InviteSender:
    settings = resources.settings
    return InviteSender(
        resources.pool,
        resources.keyring,
        post_of(settings, resources.keyring),
        resources.doorbells,
        share_base=settings.share_base,
        fictional=settings.env == "dev",
        rate_limits=settings.rate_limits,
    )


HANDLERS: Final = [Router("/", route_handlers=[invite_to_group, list_invites, get_funnel, list_referrals])]

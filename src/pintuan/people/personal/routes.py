"""Taking away everything that is kept about oneself, and being forgotten."""

from __future__ import annotations

from typing import Final

from litestar import MediaType, delete, get
from litestar.openapi import ResponseSpec
from litestar.response import Stream

from pintuan.base.auth import requires_role
from pintuan.http.bodies import ApiRequest
from pintuan.http.parameters import InjectedResources
from pintuan.people.identity.routes import caller_of
from pintuan.people.personal import service
from pintuan.people.personal.document import Export
from pintuan.people.personal.erasures import Eraser


@get(
    "/v1/me/export",
    tags=["identity"],
    guards=[requires_role("buyer")],
    summary="Everything kept about me",
    media_type=MediaType.JSON,
    responses={
        200: ResponseSpec(Export, description="One document, sent as it is read.", generate_examples=False)
    },
)
async def export_me(request: ApiRequest, resources: InjectedResources) -> Stream:
    """Answers one document with everything that is kept about the caller.

    An account has one export at a time. One that is read at less than 32 kB a second is cut off.
    """
    parts = await service.export(resources.pool, resources.keyring, resources.personal, caller_of(request))
    return Stream(parts, media_type=MediaType.JSON, headers={"cache-control": "no-store"})


@delete("/v1/me", tags=["identity"], guards=[requires_role("buyer")], summary="Forget me")
async def erase_me(request: ApiRequest, resources: InjectedResources) -> None:
    """Erases the caller: account, contacts, sessions and messages now, orders that run when they have ended.

    Orders are kept without a name, because sums are made of them. The access token stops working.
    """
    await service.erase(
        resources.pool,
        resources.keyring,
        resources.verifier,
        Eraser(resources.pool, resources.engine, resources.personal),
        caller_of(request),
    )


HANDLERS: Final = [export_me, erase_me]

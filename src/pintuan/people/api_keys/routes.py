"""`/v1/merchant/api-keys`."""

from __future__ import annotations

from typing import Final

from litestar import Router, delete, get, post
from litestar.params import FromPath, JSONBody

from pintuan.base.auth import SELLERS, check_role, refuse_api_key, requires_role
from pintuan.http.bodies import ApiRequest
from pintuan.http.documentation.codes import problem_codes
from pintuan.http.pagination import (
    LIMIT_DEFAULT,
    CursorParameter,
    LimitParameter,
    Page,
    decode_cursor,
    page_of,
)
from pintuan.http.parameters import InjectedResources
from pintuan.people.api_keys import service
from pintuan.people.api_keys.schemas import ApiKey, MadeApiKey, NewApiKey


@post(
    "/",
    guards=[requires_role("merchant"), refuse_api_key],
    opt=problem_codes("limit_reached"),
    summary="Make an API key",
)
async def create_api_key(
    data: JSONBody[NewApiKey], request: ApiRequest, resources: InjectedResources
) -> MadeApiKey:
    """Makes a key that calls the API as the merchant; `key` is shown this once.

    A call that is itself made with an API key is `forbidden`.
    """
    merchant = check_role(request.user, SELLERS)
    return await service.create_key(resources.pool, merchant.subject, data)


@get("/", guards=[requires_role("merchant")], summary="The merchant's API keys, newest first")
async def list_api_keys(
    request: ApiRequest,
    resources: InjectedResources,
    limit: LimitParameter = LIMIT_DEFAULT,
    cursor: CursorParameter = None,
) -> Page[ApiKey]:
    """Answers a page of the merchant's own keys, without their secrets."""
    merchant = check_role(request.user, SELLERS)
    rows = await service.list_keys(
        resources.pool, merchant.subject, after=decode_cursor(cursor), limit=limit + 1
    )
    return page_of(rows, limit=limit, item=lambda row: row, place=lambda row: (row.created_at, row.id))


@delete(
    "/{key_id:str}",
    guards=[requires_role("merchant"), refuse_api_key],
    summary="Delete an API key",
)
async def delete_api_key(key_id: FromPath[str], request: ApiRequest, resources: InjectedResources) -> None:
    """Deletes a key; the last server stops taking it within ten seconds.

    A call that is itself made with an API key is `forbidden`.
    """
    merchant = check_role(request.user, SELLERS)
    await service.delete_key(resources.pool, merchant.subject, key_id)
    resources.verifier.forget()


HANDLERS: Final = [
    Router(
        "/v1/merchant/api-keys",
        route_handlers=[create_api_key, list_api_keys, delete_api_key],
        tags=["merchants"],
    )
]

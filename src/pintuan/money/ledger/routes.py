"""`/v1/merchant/balance` and `/v1/merchant/statement.csv`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, TypeAlias

from litestar import Router, get
from litestar.params import QueryParameter
from litestar.response import Stream

from pintuan.base.auth import SELLERS, check_role, requires_role
from pintuan.base.errors import InvalidInput
from pintuan.http.bodies import ApiRequest
from pintuan.http.filters import TIME, SellerParameter, time_of
from pintuan.http.parameters import InjectedResources
from pintuan.http.spreadsheet import CSV, download
from pintuan.money.ledger import service, store
from pintuan.money.ledger.schemas import Balance
from pintuan.people.merchants.service import merchant_of

PERIOD_DAYS_MAX: Final = 366

FromParameter: TypeAlias = Annotated[
    str, QueryParameter(schema_extra=TIME, description="Begin of the period, in it.")
]
ToParameter: TypeAlias = Annotated[
    str,
    QueryParameter(
        schema_extra=TIME,
        description=f"End of the period, not in it; at most {PERIOD_DAYS_MAX} days later.",
    ),
]


@get("/balance", guards=[requires_role("merchant")], summary="What is owed to the merchant")
async def get_balance(
    request: ApiRequest, resources: InjectedResources, merchant_id: SellerParameter = None
) -> Balance:
    """Answers one entry for each currency, made from the ledger."""
    seller = merchant_of(check_role(request.user, SELLERS), merchant_id)
    return Balance(await store.balances(resources.pool, seller))


@get(
    "/statement.csv",
    guards=[requires_role("merchant")],
    summary="The movements of the balance, as CSV",
    media_type=CSV,
)
async def get_statement(
    request: ApiRequest,
    resources: InjectedResources,
    created_from: FromParameter,
    created_to: ToParameter,
    merchant_id: SellerParameter = None,
) -> Stream:
    """Answers every sale, fee and refund of the period, the oldest first.

    Amounts stand in minor units and as people write them. It begins with a byte order mark (EF BB BF), by
    which spreadsheets know UTF-8.

    A merchant has one spreadsheet or statement at a time; one that is read at less than 32 kB a second is cut
    off.
    """
    seller = merchant_of(check_role(request.user, SELLERS), merchant_id)
    begin, end = time_of("created_from", created_from), time_of("created_to", created_to)
    if begin is None or end is None or not timedelta(0) < end - begin <= timedelta(days=PERIOD_DAYS_MAX):
        raise InvalidInput.of("created_to", f"must be after created_from, by at most {PERIOD_DAYS_MAX} days")
    rows = service.statement(resources.pool, seller, since=begin, until=end)
    return download(rows, "statement.csv")


HANDLERS: Final = [Router("/v1/merchant", route_handlers=[get_balance, get_statement], tags=["merchants"])]

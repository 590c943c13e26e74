"""Calls of a merchant about money: giving it back, and reading how it stands."""

from __future__ import annotations

from datetime import datetime

from pintuan.buying.groups.schemas import Order
from pintuan.client.caller import Caller, new_key
from pintuan.client.transport import Call, quoted
from pintuan.money.ledger.schemas import Balance
from pintuan.money.refunds.schemas import NewRefund


class BooksCalls(Caller):
    """Refunds, balance and statements of the merchant who calls; an admin names one by `merchant_id`."""

    async def refund_order(self, order_id: str, refund: NewRefund, *, key: str | None = None) -> Order:
        """Gives back all or a part of a captured amount; `key` as in calls that place an order."""
        return await self.session.send(
            Call("POST", f"/v1/orders/{quoted(order_id)}/refunds", Order, body=refund, key=key or new_key())
        )

    async def get_balance(self, *, merchant_id: str | None = None) -> Balance:
        """Returns what is owed to the merchant, by currency."""
        query = {"merchant_id": merchant_id}
        return await self.session.send(Call("GET", "/v1/merchant/balance", Balance, query=query))

    async def get_statement(
        self, *, created_from: datetime, created_to: datetime, merchant_id: str | None = None
    ) -> str:
        """Returns the movements of the balance from one time until before another as CSV.

        The encoding is `utf-8-sig`.
        """
        query = {
            "created_from": created_from.isoformat(),
            "created_to": created_to.isoformat(),
            "merchant_id": merchant_id,
        }
        answer = await self.session.send(Call("GET", "/v1/merchant/statement.csv", bytes, query=query))
        return answer.decode()

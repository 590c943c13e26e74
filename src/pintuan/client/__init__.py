"""A typed client of the marketplace's HTTP API, without any of its server.

    async with open_client("https://shop.example", token=token) as pintuan:
        order = await pintuan.join_deal(deal_id, NewOrder(payment_method="pm_ok"))
        async for group in pintuan.watch_group(order.group_id):
            print(group.headcount, group.unit_price)

    marketplace.py  opens the client; all calls in one class
    products.py, deals.py, groups.py, orders.py, identity.py, merchants.py,
    webhooks.py, operator.py
                    the calls of each noun
    pages.py        goes through lists
    watch.py        follows a group; events.py reads its events
    session.py      who calls, and the renewal of their tokens
    transport.py    deadlines, repeated tries, decoding
    errors.py       what a call can end with instead of its answer

Requests and answers are the structs of the nouns' `schemas.py`, the same that the server decodes and encodes.
"""

from pintuan.client.errors import BadAnswer, ClientError, NoAnswer, ProblemError
from pintuan.client.marketplace import Pintuan, open_client
from pintuan.client.pages import every

__all__ = ["BadAnswer", "ClientError", "NoAnswer", "Pintuan", "ProblemError", "every", "open_client"]

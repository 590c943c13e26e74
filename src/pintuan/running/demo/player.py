"""Plays one scene: its steps in order over HTTP, and a watch over its group until it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Final

from pintuan.buying.groups.schemas import Group, Order
from pintuan.buying.orders.schemas import NewOrder
from pintuan.client import ClientError, ProblemError
from pintuan.money.refunds.schemas import NewRefund
from pintuan.running.demo import narration
from pintuan.running.demo.board import Board, Placed, Record
from pintuan.running.demo.errors import DemoError, OutOfPlan
from pintuan.running.demo.plan import GivenBack, Step
from pintuan.running.demo.shop import Shop
from pintuan.running.demo.venue import Cast

WATCH_INTERVAL_S: Final = 0.3
ORDER_INTERVAL_S: Final = 0.15
PAYMENT_WAIT_S_MAX: Final = 20.0
# The contract's ten seconds for seats still held at the deadline, and as much again for a busy machine.
SETTLEMENT_WAIT_S_MAX: Final = 20.0

_ENDED: Final = frozenset({"succeeded", "failed"})


class Player:
    """Plays the scene of `record`; any error is one of its faults, and stops no other scene."""

    def __init__(self, record: Record, shop: Shop, board: Board, cast: Cast) -> None:
        self._record = record
        self._scene = record.scene
        self._shop = shop
        self._board = board
        self._cast = cast
        self._group_known = asyncio.Event()
        self._steps_done = False
        self._untold = 0

    async def play(self) -> None:
        """Plays all steps, waits for the group's end, and looks at every order once more."""
        await asyncio.sleep(self._scene.starts_s)
        try:
            async with asyncio.TaskGroup() as asides:
                if self._scene.ends_as != "solo":
                    asides.create_task(self._watch())
                for number, step in enumerate(self._scene.steps):
                    await asyncio.sleep(step.pause_s)
                    await self._told(self._act(step, f"{self._scene.key}-{number}", asides))
                self._steps_done = True
            for placed in self._record.placed.values():
                await self._look_at_end(placed)
            for number, given_back in enumerate(self._scene.given_back):
                await self._give_back(given_back, f"{self._scene.key}-back-{number}")
        except* (DemoError, ClientError) as trouble:
            self._record.faults += [str(error) for error in trouble.exceptions]

    async def _told(self, act: Coroutine[None, None, None]) -> None:
        """Runs an act; the group's end is not told before the acts that led to it."""
        self._untold += 1
        try:
            await act
        finally:
            self._untold -= 1

    async def _act(self, step: Step, key: str, asides: asyncio.TaskGroup) -> None:
        try:
            if step.verb == "cancel":
                await self._cancel(step, key)
                return
            before, order = await self._place(step, key)
        except ProblemError as refusal:
            if refusal.code != step.refused:
                raise OutOfPlan(f"{step.actor} was refused: {refusal}") from refusal
            self._record.refused += 1
            self._board.tell(*narration.refused(step, refusal.code, self._record.deal.title))
            return
        if step.refused is not None:
            raise OutOfPlan(f"{step.actor} should have been refused with {step.refused}")
        self._record.placed[step.actor] = Placed(step, order)
        self._check_group_of(step, order)
        if step.twice:
            await self._repeat(step, key, order)
        if step.waits:
            await self._follow(step, before)
        else:
            asides.create_task(self._told(self._follow(step, before)))

    async def _place(self, step: Step, key: str) -> tuple[Group | None, Order]:
        """Places the order; returns the group as the buyer saw it before, and the order."""
        shop, deal = self._shop.buyer(self._cast.buyer(step.actor)), self._record.deal
        wish = NewOrder(quantity=step.quantity, payment_method=step.method)
        known = self._record.group
        match step.verb:
            case "link":
                if known is None:
                    raise OutOfPlan(f"{step.actor} has no link to follow")
                shared = await self._shop.anybody.get_shared_group(known.share_code)
                return shared, await shop.join_group(shared.id, wish, key=key)
            case "auto":
                return known, await shop.join_deal(deal.id, wish, key=key)
            case "buy":
                return None, await shop.buy_alone(deal.id, wish, key=key)
            case _:
                return None, await shop.open_group(deal.id, wish, key=key)

    def _check_group_of(self, step: Step, order: Order) -> None:
        group = order.group
        if group is None:
            if self._scene.ends_as != "solo":
                raise OutOfPlan(f"{step.actor} was placed into no group")
            return
        if self._record.group is not None and self._record.group.id != group.id:
            raise OutOfPlan(f"{step.actor} was placed into another group")
        self._board.saw(self._record, group)
        self._group_known.set()

    async def _repeat(self, step: Step, key: str, order: Order) -> None:
        _, again = await self._place(step, key)
        if again.id != order.id:
            raise OutOfPlan(f"{step.actor} sent one request twice and has two orders")
        self._board.tell(*narration.repeated(step))

    async def _cancel(self, step: Step, key: str) -> None:
        placed = self._record.placed[step.actor]
        shop = self._shop.buyer(self._cast.buyer(step.actor))
        placed.order = await shop.cancel_order(placed.order.id, key=key)
        if step.refused is not None:
            raise OutOfPlan(f"{step.actor} should not have been able to cancel")
        self._board.tell(*narration.cancelled(step, self._record.deal.title))

    async def _follow(self, step: Step, before: Group | None) -> None:
        """Waits until the bank has decided, and tells about it."""
        placed = self._record.placed[step.actor]
        solo = self._scene.ends_as == "solo"
        undecided = {"held", "authorised"} if solo else {"held"}
        await self._refresh(placed, lambda order: order.status not in undecided)
        if placed.order.group is not None:
            self._board.saw(self._record, placed.order.group)
        self._board.tell(*narration.joined(step, placed.order, before, self._record.deal.title))

    async def _look_at_end(self, placed: Placed) -> None:
        """Reads an order after its group has ended, when nothing about it changes any more."""
        undecided = {"held"} if self._scene.ends_as == "open" else {"held", "authorised"}
        await self._refresh(placed, lambda order: order.status not in undecided)
        if placed.order.status == "payment_failed":
            self._board.tell(*narration.capture_failed(placed.step))

    async def _give_back(self, given_back: GivenBack, key: str) -> None:
        """Lets the merchant refund an order, and waits until the bank has decided about it."""
        placed = self._record.placed[given_back.actor]
        wish = NewRefund(amount=given_back.amount_minor, reason=given_back.reason)
        await self._shop.merchant(self._record.deal.merchant_id).refund_order(placed.order.id, wish, key=key)
        await self._refresh(placed, lambda order: all(one.status != "pending" for one in order.refunds))
        if placed.order.group is not None:
            self._board.saw(self._record, placed.order.group)
        self._board.tell(*narration.given_back(placed.step, placed.order.refunds[-1]))

    async def _refresh(self, placed: Placed, ready: Callable[[Order], bool]) -> None:
        shop = self._shop.buyer(self._cast.buyer(placed.step.actor))
        try:
            async with asyncio.timeout(PAYMENT_WAIT_S_MAX):
                while True:
                    placed.order = await shop.get_order(placed.order.id)
                    if ready(placed.order):
                        return
                    await asyncio.sleep(ORDER_INTERVAL_S)
        except TimeoutError:
            raise OutOfPlan(
                f"{placed.step.actor}'s order is still {placed.order.status} after {PAYMENT_WAIT_S_MAX:g} s"
            ) from None

    async def _watch(self) -> None:
        """Follows the group until it has ended, or until the last step when it is to stay open."""
        await self._group_known.wait()
        limit_s = SETTLEMENT_WAIT_S_MAX + min(self._record.deal.group_ttl_seconds, PAYMENT_WAIT_S_MAX * 3)
        following = asyncio.create_task(self._follow_group(), name=f"{self._scene.key} live")
        try:
            async with asyncio.timeout(limit_s):
                while not self._is_over():
                    await asyncio.sleep(WATCH_INTERVAL_S)
                    if following.done():
                        # It raises what ended the stream too early.
                        following.result()
        except TimeoutError:
            status = self._record.group.status if self._record.group else "missing"
            raise OutOfPlan(f"the group is still {status} after {limit_s:g} s") from None
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        group = self._record.group
        if group is not None and group.status in _ENDED:
            self._board.tell(*narration.ended(group, self._record.deal.title))

    def _is_over(self) -> bool:
        group = self._record.group
        stays_open = self._scene.ends_as == "open" and self._steps_done
        return stays_open or (group is not None and group.status in _ENDED and not self._untold)

    async def _follow_group(self) -> None:
        if self._record.group is not None:
            async with aclosing(self._shop.anybody.watch_group(self._record.group.id)) as states:
                async for group in states:
                    self._board.saw(self._record, group)

"""The executor: takes payment operations that are due, asks the gateway, and records the answers.

Each operation is a row that says what to do, under which key, and when. A claim leases it for a while. An
executor that dies leaves only a lease that runs out, and the next executor to take the row repeats the same
key. Calls run side by side and are recorded as they finish, so a slow one keeps nobody waiting. While the
gateway is away (`circuit`) only a probe is taken now and then, so an outage costs no attempts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog

from pintuan.money.payments import store
from pintuan.money.payments.circuit import Circuit, State
from pintuan.money.payments.decision import (
    Claim,
    GivenUp,
    NotSent,
    NotTaken,
    Result,
    Unknown,
    answer_in_books,
)
from pintuan.money.payments.gateway import (
    CALL_DEADLINE_S,
    Answer,
    AuthoriseCall,
    CaptureCall,
    Declined,
    Gateway,
    GatewayError,
    GatewayTimeout,
    GatewayUnavailable,
    RefundCall,
    VoidCall,
    idempotency_key_of,
)
from pintuan.money.payments.metrics import GATEWAY_CIRCUIT_OPEN, show_payments
from pintuan.money.payments.recording import Finished, OnRecorded, Recorded, record

if TYPE_CHECKING:
    import asyncpg

# More than a quick gateway needs, so that even hundreds of slow cards leave room for the others.
CALLS_IN_FLIGHT_MAX: Final = 1024
# The rows that one statement takes or one transaction records, so that none holds its locks for long.
BATCH_SIZE_MAX: Final = 256
LOOK_UP_DEADLINE_S: Final = 1.0
# Enough to see that a backlog grows, and some ten milliseconds of Postgres' time.
SAMPLED_MAX: Final = 20_000
# Longer than a call and the look-ups around it may take: a row whose lease ran out has nobody working on it.
LEASE_MS: Final = 7_000
DRAIN_S_MAX: Final = 20.0
# A drain stays for retries that come this soon, looking now and then; later ones are left to the sweeps.
LINGER_S_MAX: Final = 1.0
LINGER_LOOK_S: Final = 0.05
# With the pauses between them, about five minutes of trying.
ATTEMPTS_MAX: Final = 20
# Counted from the first attempt.
GIVE_UP_AGE_MS: Final = 5 * 60 * 1000
# A fair number of tries, if the workers were away between them.
ATTEMPTS_BEFORE_AGE_COUNTS: Final = 8
# Stripe forgets keys after 24 hours (docs.stripe.com/api/idempotent_requests); an hour less to be sure.
KEY_TRUST_MS: Final = 23 * 60 * 60 * 1000

_logger = structlog.get_logger("pintuan.money.payments")


def _show_circuit(state: State) -> None:
    GATEWAY_CIRCUIT_OPEN.set(state == "open")
    _logger.warning("payment gateway left alone" if state == "open" else "payment gateway answers again")


def _ignore(_recorded: Recorded | None = None) -> None:
    """Stands for a caller who does not need to know."""


class PaymentExecutor:
    """Drains `payment_operations`. One per process; any number of processes work side by side.

    `on_recorded` is called after each commit, `on_look` after each look for due operations, found or not.
    Both run on the event loop, and must not block or raise.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        gateway: Gateway,
        *,
        on_recorded: OnRecorded = _ignore,
        on_look: Callable[[], None] = _ignore,
        calls_in_flight_max: int = CALLS_IN_FLIGHT_MAX,
        circuit: Circuit | None = None,
    ) -> None:
        self._pool = pool
        self._gateway = gateway
        self._on_recorded = on_recorded
        self._on_look = on_look
        self._free_slots = calls_in_flight_max
        self._circuit = circuit or Circuit(on_change=_show_circuit)
        GATEWAY_CIRCUIT_OPEN.set(0)
        self._asked = asyncio.Event()
        self._claiming = False
        self._stopping = False
        self._linger_until_s = 0.0

    async def drain(self) -> int:
        """Works until nothing is due, or for `DRAIN_S_MAX`; returns how many answers were recorded.

        While another drain of this process is at it, that one is told to look again, and this returns 0.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: Postgres failed; once the leases have run
                out, the work comes back.
        """
        if self._claiming:
            self._asked.set()
            return 0
        calls: set[asyncio.Task[Finished]] = set()
        try:
            count = await self._claim_until_idle(calls)
            while calls:
                await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                count += await self._record_finished(calls)
        finally:
            # Only when something went wrong are any left: their leases run out, and their keys stay the same.
            for call in calls:
                call.cancel()
            self._free_slots += len(calls)
        return count

    def stop(self) -> None:
        """Takes nothing more; calls on their way are still recorded, within their deadlines."""
        self._stopping = True
        self._asked.set()

    async def sample(self) -> None:
        """Sets the gauge of the operations that have not ended; of a backlog it counts `SAMPLED_MAX`."""
        show_payments(await store.count_open(self._pool, count_max=SAMPLED_MAX))

    async def _claim_until_idle(self, calls: set[asyncio.Task[Finished]]) -> int:
        loop = asyncio.get_running_loop()
        ends_at_s = loop.time() + DRAIN_S_MAX
        count = 0
        self._claiming = True
        try:
            while not self._stopping and loop.time() < ends_at_s:
                self._asked.clear()
                self._linger_for_probe()
                # Read before the claim: a retry whose time comes in between is then waited for, not missed.
                wait_s = LINGER_LOOK_S if loop.time() < self._linger_until_s else None
                more_due = await self._claim(calls)
                self._on_look()
                if more_due:
                    # There is room: only let the new calls begin.
                    wait_s = 0.0
                elif not calls and wait_s is None and not self._asked.is_set():
                    break
                await self._wait(calls, wait_s)
                count += await self._record_finished(calls)
        finally:
            self._claiming = False
        return count

    async def _claim(self, calls: set[asyncio.Task[Finished]]) -> bool:
        """Starts calls for due operations; returns whether more may be due and could begin at once."""
        count_max = self._circuit.calls_allowed(min(self._free_slots, BATCH_SIZE_MAX))
        if count_max == 0:
            return False
        claims = await store.claim_due(self._pool, count_max=count_max, lease_ms=LEASE_MS)
        self._free_slots -= len(claims)
        started = [asyncio.create_task(self._call(claim), name="payment call") for claim in claims]
        calls.update(started)
        if started and self._circuit.begin():
            started[0].add_done_callback(lambda _: self._circuit.probe_ended())
        return len(claims) == count_max and self._free_slots > 0

    async def _wait(self, calls: set[asyncio.Task[Finished]], wait_s: float | None) -> None:
        """Waits until a call has finished, somebody asks, or `wait_s` is over."""
        asked = asyncio.create_task(self._asked.wait(), name="payments asked")
        try:
            await asyncio.wait({asked, *calls}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()

    async def _record_finished(self, calls: set[asyncio.Task[Finished]]) -> int:
        # Calls answered in one go finish in one turn of the loop; this lets all of them into the batch.
        await asyncio.sleep(0)
        finished = [call for call in calls if call.done()][:BATCH_SIZE_MAX]
        if not finished:
            return 0
        recorded = await record(self._pool, [call.result() for call in finished])
        calls.difference_update(finished)
        self._free_slots += len(finished)
        self._linger_for(recorded)
        self._on_recorded(recorded)
        return recorded.operations

    def _linger_for(self, recorded: Recorded) -> None:
        soon_ms = [delay_ms for delay_ms in recorded.retry_delays_ms if delay_ms <= LINGER_S_MAX * 1000]
        if soon_ms:
            self._linger(max(soon_ms) / 1000)

    def _linger_for_probe(self) -> None:
        wait_s = self._circuit.wait_s()
        if wait_s is not None and wait_s <= LINGER_S_MAX:
            self._linger(wait_s)

    def _linger(self, for_s: float) -> None:
        until_s = asyncio.get_running_loop().time() + for_s + LINGER_LOOK_S
        self._linger_until_s = max(self._linger_until_s, until_s)

    async def _call(self, claim: Claim) -> Finished:
        return Finished(claim, await self._result_of(claim))

    async def _result_of(self, claim: Claim) -> Result:
        if claim.kind == "authorise" and claim.attempts == 1 and claim.order_status != "held":
            return NotSent(f"order was {claim.order_status} before the first attempt")
        if _is_looked_up_first(claim):
            known = await self._look_up(claim)
            if isinstance(known, Unknown):
                return GivenUp(known.reason) if _is_spent(claim) else known
            if known is not None:
                return known
            if claim.kind == "authorise" and claim.order_status != "held" and claim.age_ms > KEY_TRUST_MS:
                # With a younger key, the authorisation is asked for again and voided: the first request may
                # still be on its way.
                return Declined("it never reached the gateway, as the gateway's books say")
        result = await self._ask(claim)
        if not isinstance(result, Unknown | NotTaken) or not _is_spent(claim):
            return result
        known = await self._look_up(claim)
        return GivenUp(result.reason) if known is None or isinstance(known, Unknown) else known

    async def _ask(self, claim: Claim) -> Answer | Unknown | NotTaken:
        try:
            async with asyncio.timeout(CALL_DEADLINE_S):
                answer = await self._send(claim)
        except TimeoutError:
            self._circuit.failed(claim.order_id)
            return Unknown(f"no answer within {CALL_DEADLINE_S} s")
        except GatewayUnavailable as error:
            self._circuit.failed(claim.order_id)
            return NotTaken(str(error))
        except GatewayTimeout as error:
            self._circuit.failed(claim.order_id)
            return Unknown(str(error))
        except GatewayError as error:
            self._circuit.answered()
            return Unknown(str(error))
        except Exception as error:
            # After any error in a gateway's code, the calls beside this one go on, and this one is repeated.
            _logger.exception("payment call failed", order_id=claim.order_id, kind=claim.kind)
            return Unknown(repr(error))
        self._circuit.answered()
        return answer

    async def _send(self, claim: Claim) -> Answer:
        key = idempotency_key_of(claim.order_id, claim.kind, claim.operation_no)
        match claim.kind:
            case "authorise":
                return await self._gateway.authorise(
                    AuthoriseCall(
                        idempotency_key=key,
                        reference=claim.order_id,
                        payment_method=claim.payment_method,
                        buyer_id=claim.buyer_id,
                        amount_minor=claim.amount_minor,
                        currency=claim.currency,
                    )
                )
            case "capture":
                return await self._gateway.capture(
                    CaptureCall(
                        idempotency_key=key, reference=claim.order_id, amount_minor=claim.amount_minor
                    )
                )
            case "void":
                return await self._gateway.void(VoidCall(idempotency_key=key, reference=claim.order_id))
            case "refund":
                return await self._gateway.refund(
                    RefundCall(
                        idempotency_key=key,
                        reference=claim.order_id,
                        refund_reference=key,
                        amount_minor=claim.amount_minor,
                    )
                )

    async def _look_up(self, claim: Claim) -> Answer | Unknown | None:
        """Asks the gateway's books; None when they leave it open, Unknown when they cannot be read."""
        try:
            async with asyncio.timeout(LOOK_UP_DEADLINE_S):
                payment = await self._gateway.look_up(claim.order_id)
        except (TimeoutError, GatewayError) as error:
            self._circuit.failed(claim.order_id)
            _logger.warning("payment not looked up", order_id=claim.order_id, error=repr(error))
            return Unknown(f"not looked up: {error!r}")
        except Exception as error:
            # A defect of the client must not keep the operation from being given up; it stays visible here.
            _logger.exception("payment look-up failed", order_id=claim.order_id, kind=claim.kind)
            return Unknown(f"not looked up: {error!r}")
        self._circuit.answered()
        return answer_in_books(claim, payment)


def _is_looked_up_first(claim: Claim) -> bool:
    """Tells whether repeating the key might move money twice, or a person wants to know what became of it."""
    return claim.attempts > 1 and (claim.age_ms > KEY_TRUST_MS or claim.attempts > ATTEMPTS_MAX)


def _is_spent(claim: Claim) -> bool:
    """Tells whether this attempt is the operation's last."""
    if claim.attempts >= ATTEMPTS_MAX:
        return True
    return claim.tried_for_ms >= GIVE_UP_AGE_MS and claim.attempts >= ATTEMPTS_BEFORE_AGE_COUNTS

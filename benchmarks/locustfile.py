"""Shoppers for those who use Locust (https://docs.locust.io), at a marketplace that runs elsewhere.

    pintuan token --role buyer --subject load --count 20000 > tokens.txt
    export PINTUAN_LOCUST_TOKENS=tokens.txt PINTUAN_LOCUST_DEAL=deal_…
    locust -f benchmarks/locustfile.py --host http://127.0.0.1:8000

Locust brings a web framework and an event loop of its own, so install it in an environment of its own; it
needs nothing of Pintuan's. Shoppers wait for each answer before they go on, so that a server that stalls is
asked less: for figures that keep that in mind, use `pintuan bench`.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from locust import FastHttpUser, between, events

TOKENS_VARIABLE: Final = "PINTUAN_LOCUST_TOKENS"
DEAL_VARIABLE: Final = "PINTUAN_LOCUST_DEAL"
CREATED: Final = 201
# What a shopper may be told during a sale: no seat, too fast, or come back later.
REFUSALS: Final = frozenset({409, 429, 503})


class Crowd:
    """Whose tokens shoppers use, each once around, and the deal they came for."""

    def __init__(self, environ: dict[str, str]) -> None:
        missing = [name for name in (TOKENS_VARIABLE, DEAL_VARIABLE) if not environ.get(name)]
        if missing:
            raise SystemExit(f"set {' and '.join(missing)}; benchmarks/locustfile.py says how")
        self.deal_id = environ[DEAL_VARIABLE]
        tokens = Path(environ[TOKENS_VARIABLE]).read_text(encoding="utf-8").split()
        if not tokens:
            raise SystemExit(f"{environ[TOKENS_VARIABLE]} holds no tokens")
        self._tokens = itertools.cycle(tokens)

    def next_token(self) -> str:
        """Returns the token of the next buyer; those who come round again are in already."""
        return next(self._tokens)


CROWD: Final = Crowd(dict(os.environ))


class Shopper(FastHttpUser):  # type: ignore[misc] # Locust is not installed where types are checked.
    """Looks at the deal and its groups, joins, and looks at the order."""

    wait_time = between(0.5, 2.0)

    def on_start(self) -> None:
        """Becomes somebody."""
        self._become_another()

    def look_at_deal(self) -> None:
        """Asks for the deal."""
        self.client.get(f"/v1/deals/{CROWD.deal_id}", headers=self._headers, name="GET deal")

    def look_at_groups(self) -> None:
        """Asks which groups can be joined."""
        path = f"/v1/deals/{CROWD.deal_id}/groups?status=open"
        self.client.get(path, headers=self._headers, name="GET groups")

    def join(self) -> None:
        """Joins the best group, looks at the order, and makes room for the next shopper."""
        with self.client.post(
            f"/v1/deals/{CROWD.deal_id}/join",
            json={"quantity": 1, "payment_method": "pm_ok"},
            headers={**self._headers, "Idempotency-Key": str(uuid4())},
            name="POST join",
            catch_response=True,
        ) as response:
            if response.status_code in REFUSALS:
                response.success()
            order_id = response.json()["id"] if response.status_code == CREATED else None
        if order_id is not None:
            self.client.get(f"/v1/orders/{order_id}", headers=self._headers, name="GET order")
        self._become_another()

    def _become_another(self) -> None:
        self._headers = {"Authorization": f"Bearer {CROWD.next_token()}"}

    # How often each is chosen, as Locust reads it; decorators would do the same.
    tasks = {look_at_deal: 10, look_at_groups: 4, join: 3}  # noqa: RUF012 - Locust's own name and form.


def fail_on_errors(environment: Any, **_: object) -> None:
    """Ends with 1 when a call failed that no sale explains."""
    if environment.stats.total.num_failures:
        environment.process_exit_code = 1


events.quitting.add_listener(fail_on_errors)

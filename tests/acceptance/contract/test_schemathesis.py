"""Every operation is called with whatever its contract allows, and with what it forbids.

A real marketplace runs for the whole module. What it answers must be documented: status, type, body, headers.
It accepts what fits its schemas and refuses what does not, asks for a token where it says so, never fails.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation

from pintuan.app import create_app
from pintuan.base.settings.settings import Settings
from pintuan.buying.orders.ship_to import DEPTH_MAX, refusal_of
from tests.acceptance.contract.seeded import ADMIN, PLACEHOLDER, Seeds, operation_of, seed
from tests.files import copy_files
from tests.marketplace import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EXAMPLES_MAX = 25
ENDLESS: Final = {
    "watch_group": "the stream of a running group does not end; tests of live groups read it",
}
NEVER_GRANTED: Final = {
    "issue_tokens": "nobody guesses a code",
    "import_feed": "text is rarely a feed",
    "receive_gateway_event": "the sandbox sends none, and nobody guesses a signature",
}
# No schema says which text is a feed.
TEXTS: Final = ("import_feed",)
# Operations whose contract cannot say all that makes a request right; whatever they refuse is still checked.
RULES_BEYOND_THE_SCHEMA: Final = {
    "create_product": "no two variants have the same number",
    "change_product": "no two variants have the same number",
    "create_deal": "a ladder must fall and beat the list price, and times must be in order",
    "change_deal": "stock only grows, and an end lies in the future",
    "send_code": "an address is checked beyond its form, and one of the two must be given",
    "issue_tokens": "one of two addresses must be given",
    "invite_to_group": "one of two addresses must be given, and is checked beyond its form",
    "create_api_key": "a key must end in the future",
    "create_webhook_endpoint": "a URL must be one that may be called",
    "change_webhook_endpoint": "a URL must be one that may be called",
    "replay_webhook_events": "times must be in the years 1 to 9999 in UTC",
    "get_statement": "its second time is after its first, by no more than a year",
}
PAYMENT_METHODS: Final = ["pm_ok", "pm_declined", "pm_ok:card-7"]

DOCUMENT: dict[str, Any] = json.loads(
    create_app(Settings(secret_key="a key that makes the document")).state.openapi()
)


def placeholder(name: str) -> st.SearchStrategy[str]:
    """Stands for a real value, which nobody knows yet when examples are made up; see `Seeds.fill`."""
    return st.integers(0, 1_000).map(lambda number: f"{PLACEHOLDER}-{name}-{number}")


def with_real_values(document: dict[str, Any]) -> dict[str, Any]:
    """The document with placeholders of real ids and cursors, and with the payment methods of the sandbox."""
    made: dict[str, Any] = deepcopy(document)
    made["components"]["schemas"]["NewOrder"]["properties"]["payment_method"] = {"enum": PAYMENT_METHODS}
    deal = made["paths"]["/v1/deals"]["post"]["requestBody"]["content"]["application/json"]
    deal["example"]["variant_id"] = f"{PLACEHOLDER}-variant_id-0"
    for item in made["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                name = parameter["name"]
                if parameter["in"] == "path":
                    known = {"type": "string", "format": f"{PLACEHOLDER}-{name}"}
                    parameter["schema"] = {"anyOf": [known, {"type": "string"}]}
                    schemathesis.openapi.format(f"{PLACEHOLDER}-{name}", placeholder(name))
                if parameter["in"] == "path" or name == "cursor":
                    parameter["example"] = f"{PLACEHOLDER}-{name}-0"
    schemathesis.openapi.format("cursor", placeholder("cursor"))
    return made


schema = schemathesis.openapi.from_dict(with_real_values(DOCUMENT))
# A body that does not fit may be too large as well, and is not looked at then.
schema.config.checks.negative_data_rejection.expected_statuses = ["400", "401", "403", "404", "409", "413"]
# Keys are made up more than once, and then a body is refused because it is another one: 422.
schema.config.checks.positive_data_acceptance.expected_statuses = [
    "2xx",
    "304",
    "401",
    "403",
    "404",
    "409",
    "422",
]


@schema.hook
def map_body(_context: schemathesis.HookContext, body: Any) -> Any:
    """Makes of a body what its schema cannot say."""
    if isinstance(body, dict) and isinstance(body.get("ship_to"), dict):
        address = keepable(body["ship_to"], DEPTH_MAX)
        body["ship_to"] = {} if refusal_of(address) else address
    return without_whole_floats(body)


def keepable(value: Any, depth_max: int) -> Any:
    """An address may not be nested without bound and has no NUL anywhere, which no schema can say."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict | list) and depth_max == 0:
        return None
    if isinstance(value, dict):
        return {keepable(name, 0): keepable(entry, depth_max - 1) for name, entry in value.items()}
    return [keepable(entry, depth_max - 1) for entry in value] if isinstance(value, list) else value


def without_whole_floats(value: Any) -> Any:
    """JSON Schema takes 3.0 for an integer; the API does not, lest an amount has ever been a float."""
    if isinstance(value, dict):
        return {name: without_whole_floats(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [without_whole_floats(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@pytest.fixture(scope="module")
async def marketplace(first_start: Path) -> AsyncIterator[Seeds]:
    """A marketplace of this module alone; its limits on the rate of calls are off."""
    with tempfile.TemporaryDirectory(prefix="pintuan-contract-") as directory:
        site = Site(Path(directory) / "data")
        await copy_files(first_start, site.data_dir)
        try:
            running = await site.up("--api-workers", "1", PINTUAN_RATE_LIMITS="off")
            yield await seed(site, running.url)
        finally:
            await site.close()


def comes_without_token(case: schemathesis.Case[Any]) -> bool:
    """Whether what is wrong with a call is that it brings no token, which must then not be given to it."""
    header = case.meta.components.get(ParameterLocation.HEADER) if case.meta else None
    return header is not None and header.mode.is_negative and "Authorization" not in case.headers


@schema.exclude(operation_id=list(ENDLESS)).parametrize()
@settings(
    max_examples=EXAMPLES_MAX,
    derandomize=True,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.function_scoped_fixture,
    ],
)
def test_an_operation_answers_as_its_contract_says(case: schemathesis.Case[Any], marketplace: Seeds) -> None:
    marketplace.fill(case)
    operation_id = operation_of(case)
    caller = marketplace.caller_of(case)
    excluded: list[Any] = []
    # An admin must say for which merchant, and nobody else may.
    if operation_id in RULES_BEYOND_THE_SCHEMA or caller == ADMIN:
        excluded.append(schemathesis.checks.positive_data_acceptance)
    if operation_id in TEXTS:
        excluded += [
            schemathesis.checks.positive_data_acceptance,
            schemathesis.checks.negative_data_rejection,
        ]
    headers = None if comes_without_token(case) else {"Authorization": f"Bearer {marketplace.tokens[caller]}"}
    response = case.call_and_validate(base_url=marketplace.url, headers=headers, excluded_checks=excluded)
    marketplace.answers.setdefault(operation_id, Counter())[response.status_code] += 1


def test_every_operation_was_called_with_success_too(marketplace: Seeds) -> None:
    names = {operation["operationId"] for item in DOCUMENT["paths"].values() for operation in item.values()}
    unproved = {
        name: marketplace.answers.get(name)
        for name in names - set(ENDLESS) - set(NEVER_GRANTED)
        if not any(status < 300 for status in marketplace.answers.get(name, ()))
    }
    assert unproved == {}

"""The secret key is changed while callers keep the tokens they have."""

import httpx
import msgspec
import pytest

from pintuan.base.settings.settings import Settings
from tests.acceptance.conftest import SECRET_KEY, serving
from tests.acceptance.contract.documented import Contract
from tests.acceptance.shoppers import Bearer, refused

pytestmark = pytest.mark.anyio

NEW_KEY = "the key that signs tokens after the rotation"


async def orders_of_ann(settings: Settings, contract: Contract, headers: dict[str, str]) -> httpx.Response:
    async with serving(settings, contract) as api:
        return await api.get("/v1/orders", headers=headers)


async def test_a_token_outlives_the_swap_and_not_the_drop_of_its_key(
    settings: Settings, contract: Contract, bearer: Bearer
) -> None:
    issued_before = bearer("buyer", "ann")
    swapped = msgspec.structs.replace(settings, secret_key=NEW_KEY, secret_keys_accepted=(SECRET_KEY,))
    dropped = msgspec.structs.replace(settings, secret_key=NEW_KEY)

    assert (await orders_of_ann(swapped, contract, issued_before)).status_code == 200
    refused(await orders_of_ann(dropped, contract, issued_before), 401, "unauthenticated")

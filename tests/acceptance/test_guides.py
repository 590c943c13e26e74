"""The guides, taken literally: the shell session and the script of each, against a running marketplace."""

import asyncio
import json
import os
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import httpx
import pytest

from pintuan.buying.orders.schemas import NewOrder
from pintuan.client import Pintuan, open_client
from pintuan.http.problems import kinds
from pintuan.selling.webhooks.schemas import NewWebhookEndpoint
from pricing.fee import fee_to_return, platform_fee
from tests.documents import text_of
from tests.marketplace import Running, Site, free_port, open_deal
from tests.waiting import until

pytestmark = pytest.mark.anyio

SCRIPT_S_MAX = 60.0
MOBILE = "docs/guides/mobile-developer.md"
MERCHANT = "docs/guides/merchant.md"
CLIENT = "docs/guides/python-client.md"
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SCRIPT = r"^<!-- {} -->\n```python\n(.*?)^```$"
PROBLEM_ROW = re.compile(r"^\| `([a-z_]+)` \| (\d{3}) \| \S", re.MULTILINE)
STATEMENT_ROW = re.compile(r"^\| `([a-z ]+)` \| (-?\d+) \|", re.MULTILINE)
PINTUAN = Path(sys.executable).with_name("pintuan")
EMAILS = ("ann@shop.example", "ben@shop.example", "cem@shop.example")
BLOCK_OF_DEAL = "DEAL=$("
KEY_OF_A_WISH = "kept-since-before-the-app-ended"

IMPORT_TOLD = (
    "line 4: has price 'sixteen', which must be like '19.99 USD'",
    "imported 2 of 3 rows: 1 product added, 0 changed; 2 items added, 0 changed, 0 as before; 1 row refused",
)

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the guides call the API with curl")


def on(up: Running, script: str) -> str:
    """The script with this marketplace and this installation in the place of the reader's."""
    script = script.replace("http://localhost:8000", up.url)
    return script.replace(".venv/bin/pintuan", shlex.quote(str(PINTUAN)))


async def take(site: Site, up: Running, blocks: list[str]) -> list[str]:
    """What shell blocks print, taken one after the other in one shell; nothing may go wrong in them."""
    outcome = await site.shell(on(up, "".join(blocks)))
    assert (outcome.status, outcome.errors) == (0, ""), outcome
    return outcome.output.splitlines()


def blocks_of(document: str) -> list[str]:
    """The shell blocks of a guide, in order."""
    return SHELL_BLOCK.findall(text_of(document))


def statement_of(text: str) -> list[tuple[str, int]]:
    """The entries of the merchant guide's worked example with their amounts."""
    return [(entry, int(amount_minor)) for entry, amount_minor in STATEMENT_ROW.findall(text)]


def assert_in_order(lines: list[str], patterns: list[str]) -> None:
    """Fails unless each pattern matches a line behind the one that the pattern before it matched."""
    remaining = iter(lines)
    for pattern in patterns:
        assert any(re.search(pattern, line) for line in remaining), f"{pattern} is not in {lines}"


def write_script(document: str, directory: Path, name: str = "script") -> Path:
    """Saves a script of the guide as its reader would, where nothing else of the project is."""
    match = re.search(SCRIPT.format(name), text_of(document), re.DOTALL | re.MULTILINE)
    assert match is not None
    path = directory / "script.py"
    path.write_text(match[1])
    return path


async def start(script: Path, *arguments: str, **more: str) -> asyncio.subprocess.Process:
    """Starts a script in its own directory, without any setting of the project."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith(("PINTUAN_", "PYTHON"))}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(script), *arguments),
        cwd=script.parent,
        env=environ | more,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def run(script: Path, *arguments: str, **more: str) -> list[str]:
    """The lines that a script prints to its end, which must be a good one."""
    process = await start(script, *arguments, **more)
    try:
        async with asyncio.timeout(SCRIPT_S_MAX):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, output.decode()
    return output.decode().splitlines()


async def first_line_then_killed(script: Path, *arguments: str, **more: str) -> str:
    """The first line of a script that is ended by SIGKILL as soon as it has printed it."""
    process = await start(script, *arguments, **more)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(SCRIPT_S_MAX):
            return (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.communicate()


def test_the_mobile_developers_table_has_every_problem_code_with_its_status() -> None:
    rows = [(code, int(status)) for code, status in PROBLEM_ROW.findall(text_of(MOBILE))]

    assert rows == [(kind.code, kind.status) for kind in kinds()]


def test_the_merchants_example_of_a_statement_is_what_pricing_says() -> None:
    text = text_of(MERCHANT)
    charged, fee_bps, refunded = 4000, 333, 1500
    fee = platform_fee(charged, fee_bps)
    returned = fee_to_return(fee, charged, refunded, 0)
    entries = (
        [("sale", charged)] * 3 + [("fee", -fee)] * 3 + [("refund", -refunded), ("fee returned", returned)]
    )

    assert statement_of(text) == entries
    assert f"--bps {fee_bps}\n" in text
    assert f'"amount": {refunded},' in text
    available = sum(amount for _, amount in entries)
    assert f"`available` is {available} and `fees` is {3 * fee - returned}." in text


def test_the_mobile_developers_script_asks_its_user_when_the_outbox_does_not_answer(
    own_directory: Path,
) -> None:
    def cut_off(_request: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.")

    script = runpy.run_path(str(write_script(MOBILE, own_directory)))
    with httpx.Client(base_url="http://shop.example", transport=httpx.MockTransport(cut_off)) as http:
        assert script["Shopper"](http, EMAILS[0]).code_from_outbox() is None


@needs_curl
@pytest.mark.slow
async def test_a_mobile_developer_who_follows_the_guide_sees_what_it_says(site: Site) -> None:
    up = await site.up()

    lines = await take(site, up, blocks_of(MOBILE))

    assert_in_order(
        lines,
        [
            r'"status":"ready"',
            r"^deal_\w+$",
            r'"expires_in":600',
            r'"role":"buyer","email":"ann@shop.example"',
            r'"items":\[\{"id":"deal_',
            r"^304$",
            r'"status":"held".*"promised_price":\{"amount":950,',
            r"^event: group$",
            r'^data: .*"headcount":1,',
            r"^\{'amount': 900, 'currency': 'USD'\}$",
            r"^min\(950, 900\) × 1 = 900$",
            r"^min\(950, 900\) × 1 = 900, 900 - 300 given back = 600$",
            r"^cancelled$",
            r"^grp_\w+$",
            r"'orders'",
            r"^204$",
        ],
    )
    assert await up.terminate() == 0


@needs_curl
@pytest.mark.slow
async def test_the_mobile_developers_script_buys_once_though_it_was_killed(
    site: Site, tmp_path: Path
) -> None:
    up = await site.up()
    blocks = blocks_of(MOBILE)
    _, deal = await take(site, up, blocks[: 1 + [BLOCK_OF_DEAL in block for block in blocks].index(True)])
    script = write_script(MOBILE, tmp_path)
    assert "pintuan" not in script.read_text()
    kept = tmp_path / f"{EMAILS[0]}.json"
    body = {"quantity": 1, "payment_method": "pm_ok"}
    wish = {"path": f"/v1/deals/{deal}/join", "key": KEY_OF_A_WISH, "body": body}
    kept.write_text(json.dumps({"wish": wish}))

    joined = await first_line_then_killed(script, up.url, EMAILS[0], deal)
    # As if it had been killed before the answer to its join.
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"wish": wish, "order_id": None}))
    printed = await asyncio.gather(*(run(script, up.url, email, deal) for email in EMAILS))

    order = joined.partition(":")[0]
    assert joined == f"{order}: held, promised 950"
    assert printed[0][0].startswith(f"{order}: ")
    for lines in printed:
        assert lines[-2] == "succeeded: 3 in, 900 USD"
        assert lines[-1].endswith(": captured, charged 900")
    await site.assert_sound()
    assert await up.terminate() == 0


@needs_curl
@pytest.mark.slow
async def test_a_merchant_who_follows_the_guide_sees_what_it_says(site: Site) -> None:
    up = await site.up()

    lines = await take(site, up, blocks_of(MERCHANT))

    assert_in_order(
        lines,
        [
            r'"status":"ready"',
            r'"name":"shop system"',
            *(f"^{re.escape(line)}$" for line in IMPORT_TOLD),
            r"^deal_\w+$",
            r"^paused$",
            r"^active$",
            r"^200$",
            r"new -> 333 basis points$|0 -> 333 basis points$",
            r"^\{'captured': 3\}$",
            r'"charged_total":\{"amount":4000,.*"ship_to":\{.*"city":"Lyon"',
            r"^ord_.*,captured,",
            r"^ord_.*,captured,",
            r"^ord_.*,captured,",
            r"^\{'amount': 1500, 'currency': 'USD'\}$",
            r'"available":\{"amount":10150,.*"pending":\{"amount":0,.*"fees":\{"amount":350,',
            *(
                f",{entry},{amount_minor},USD,{amount_minor / 100:.2f}$"
                for entry, amount_minor in statement_of(text_of(MERCHANT))
            ),
            r"^ping$",
            r"^204$",
        ],
    )
    assert [line for line in IMPORT_TOLD if line not in text_of(MERCHANT).splitlines()] == []
    assert await up.terminate() == 0


@pytest.mark.slow
async def test_the_merchants_script_tells_once_what_to_send_though_it_was_killed(
    site: Site, tmp_path: Path
) -> None:
    up = await site.up()
    (key,) = await site.tokens("merchant", "dripper")
    script = write_script(MERCHANT, tmp_path)
    assert "pintuan" not in script.read_text()

    offered = await first_line_then_killed(script, up.url, KEY=key)
    deal = offered.removeprefix("on offer: ")
    order = {"payment_method": "pm_ok", "ship_to": {"city": "Lyon"}}
    async with up.client() as client:
        for token in await site.tokens("buyer", "guest", 3):
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "guest-joins"}
            joined = await client.post(f"/v1/deals/{deal}/join", json=order, headers=headers)
            assert joined.status_code == httpx.codes.CREATED, joined.text
    lines = await run(script, up.url, KEY=key)

    assert lines[0] == offered
    sent = {line.rpartition(" ")[2] for line in lines[1:-1]}
    assert len(sent) == len(lines[1:-1]) == 3
    assert all(line.startswith("send 1 to {'city': 'Lyon'} for ord_") for line in lines[1:-1])
    assert lines[-1] == "sold out: 6600 USD"
    assert await run(script, up.url, KEY=key) == [offered, lines[-1]]
    assert await up.terminate() == 0


@pytest.mark.slow
async def test_the_merchants_receiver_prints_each_event_once_and_believes_nobody_else(
    site: Site, tmp_path: Path
) -> None:
    up = await site.up()
    (key,) = await site.tokens("merchant", "dripper")
    script, port = write_script(MERCHANT, tmp_path, "receiver"), free_port()
    url = f"http://localhost:{port}/hooks"
    async with open_client(up.url, token=key) as pintuan:
        made = await pintuan.create_webhook_endpoint(NewWebhookEndpoint(url=url))
        receiver = await start(script, str(port), SECRET=made.secret)
        assert receiver.stdout is not None
        try:
            await until(lambda: _is_listening(port))
            async with httpx.AsyncClient() as stranger:
                forged = await stranger.post(url, json={"type": "order.captured", "data": {}})
            assert forged.status_code == httpx.codes.BAD_REQUEST
            ping = await pintuan.ping_webhook_endpoint(made.id)
            async with asyncio.timeout(SCRIPT_S_MAX):
                assert (await receiver.stdout.readline()).split() == [b"ping"]

                async def has_arrived() -> bool:
                    (entry,) = (await pintuan.list_webhook_deliveries(made.id)).items
                    return (entry.status, entry.attempts) == ("delivered", 1)

                await until(has_arrived)
                await pintuan.replay_webhook_delivery(made.id, ping.id)
                await until(has_arrived)
                deal = await open_deal_of(up, key)
                (buyer,) = await site.tokens("buyer", "guest")
                order = await pintuan.calling_as(buyer).buy_alone(deal, NewOrder(payment_method="pm_ok"))
                told = [(await receiver.stdout.readline()).decode().split() for _ in range(2)]
        finally:
            receiver.kill()
            await receiver.communicate()
    assert sorted(told) == [["order.authorised", order.id], ["order.captured", order.id]]
    assert await up.terminate() == 0


async def open_deal_of(up: Running, key: str) -> str:
    """A deal of the merchant whose token this is."""
    async with up.client() as client:
        terms = {"min_headcount": 2, "max_headcount": 3, "group_ttl_seconds": 3600, "stock": 3}
        ladder = [{"headcount": 2, "unit_price": 900}]
        return await open_deal(client, key, ladder=ladder, per_buyer_units=1, **terms)


async def _is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.mark.slow
async def test_the_script_with_the_typed_client_settles_a_group(site: Site, tmp_path: Path) -> None:
    up = await site.up()
    script = write_script(CLIENT, tmp_path)
    (block,) = blocks_of(CLIENT)
    assert ".venv/bin/python group.py" in block
    mine = f"{shlex.quote(sys.executable)} -W error {shlex.quote(str(script))}"

    lines = await take(site, up, [block.replace(".venv/bin/python group.py", mine)])

    assert lines[-4] == "succeeded: 3 in, 3700"
    assert all(re.fullmatch(r"ord_\w+: captured, 3700", line) for line in lines[-3:])
    assert await up.terminate() == 0


def test_the_clients_guide_names_methods_that_there_are() -> None:
    named = set(re.findall(r"pintuan\.([a-z_]+)\(", text_of(CLIENT))) - {"client"}

    assert {"join_deal", "sign_in", "watch_group", "calling_as"} <= named
    assert [name for name in sorted(named) if not hasattr(Pintuan, name)] == []

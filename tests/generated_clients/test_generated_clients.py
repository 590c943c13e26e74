"""The contract under other people's tools: linters find no fault, generated TypeScript compiles and shops.

They need Node.js and npm, which `.ci/run` installs where it can; elsewhere they are skipped and say so.
Versions are pinned in `typescript/package-lock.json`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.marketplace import Site, open_deal
from tests.unit.http.documentation.test_document import document

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SOURCES = Path(__file__).parent / "typescript"
BIN = "node_modules/.bin/"
TOOL_S_MAX = 180.0
SHOPPING_S_MAX = 60.0
LADDER = [{"headcount": 2, "unit_price": 900}]


async def run(*command: str, folder: Path, within_s: float = TOOL_S_MAX) -> str:
    """Runs a tool to its end and answers what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(within_s):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, f"{' '.join(command)}\n{output.decode()}"
    return output.decode()


@pytest.fixture(scope="module")
async def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the document, the tools and what they are to work on."""
    if shutil.which("npm") is None:
        pytest.skip("Node.js is not installed; Debian has it as the packages nodejs and npm")
    folder = tmp_path_factory.mktemp("typescript") / "tools"
    shutil.copytree(SOURCES, folder)
    (folder / "openapi.json").write_text(json.dumps(document()))
    await run("npm", "ci", "--no-audit", "--no-fund", folder=folder)
    return folder


async def test_linters_find_no_fault(tools: Path) -> None:
    await run(BIN + "redocly", "lint", "openapi.json", folder=tools)
    await run(
        *(BIN + "spectral", "lint", "openapi.json", "--ruleset", "spectral.yaml"),
        *("--fail-severity", "warn"),
        folder=tools,
    )


async def test_generated_typescript_compiles_signs_in_joins_watches_and_reads_a_receipt(
    tools: Path, site: Site
) -> None:
    await run(BIN + "openapi-typescript", "openapi.json", "-o", "schema.ts", folder=tools)
    await run(
        *(BIN + "openapi-ts", "-i", "openapi.json", "-o", "client", "-c", "@hey-api/client-fetch"),
        folder=tools,
    )
    await run(BIN + "tsc", "--project", ".", folder=tools)
    running = await site.up("--api-workers", "1", "--workers", "1")
    group_id = await open_group(running.url, site)

    output = await run(
        *("node", "built/shopping.js", running.url, group_id, "ann@example.test"),
        folder=tools,
        within_s=SHOPPING_S_MAX,
    )

    seen = json.loads(output)
    assert seen["promised"] == 900
    assert seen["status"] == "succeeded"
    assert seen["receipt"]["status"] == "captured"
    assert await running.terminate() == 0


async def open_group(url: str, site: Site) -> str:
    """Opens a group of two with one person in it; returns its id."""
    (merchant,) = await site.tokens("merchant", "acme")
    (leader,) = await site.tokens("buyer", "leader")
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        deal = await open_deal(
            client,
            merchant,
            **{"ladder": LADDER, "min_headcount": 2, "max_headcount": 2},
            **{"group_ttl_seconds": 3600, "stock": 10, "per_buyer_units": 1},
        )
        placed = await client.post(
            f"/v1/deals/{deal}/groups",
            json={"payment_method": "pm_ok"},
            headers={"Authorization": f"Bearer {leader}", "Idempotency-Key": "leader"},
        )
    assert placed.status_code == httpx.codes.CREATED, placed.text
    group: dict[str, Any] = placed.json()["group"]
    return str(group["id"])

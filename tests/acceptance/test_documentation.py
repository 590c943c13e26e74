"""The contract is served whole, from this server alone."""

import re
from urllib.parse import urljoin, urlsplit

import httpx
import jsonschema
import pytest

from pintuan.http.problems import kinds

pytestmark = pytest.mark.anyio

REFERENCE = re.compile(r"(?:src|href)=\"([^\"]+)\"")


@pytest.mark.parametrize("page", ["/docs", "/docs/problems"])
async def test_a_page_and_all_it_loads_come_from_this_server(api: httpx.AsyncClient, page: str) -> None:
    response = await api.get(page)

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    references = REFERENCE.findall(response.text)
    assert references
    for reference in references:
        target = urljoin(str(response.url), reference)
        assert urlsplit(target).netloc == urlsplit(str(response.url)).netloc
        assert (await api.get(target)).status_code == 200


@pytest.mark.parametrize("page", ["/docs", "/docs/problems"])
async def test_a_page_forbids_scripts_of_others_and_its_own_inline(api: httpx.AsyncClient, page: str) -> None:
    response = await api.get(page)

    policy = dict(
        directive.strip().split(" ", 1)
        for directive in response.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert not re.search(r"<script(?![^>]*\bsrc=)", response.text)
    assert not re.search(r"\son\w+=", response.text)


async def test_assets_have_their_types_and_no_other_file_is_served(api: httpx.AsyncClient) -> None:
    script = await api.get("/docs/assets/swagger-ui-bundle.js")
    style = await api.get("/docs/assets/swagger-ui.css")

    assert script.headers["content-type"].startswith("text/javascript")
    assert style.headers["content-type"].startswith("text/css")
    assert script.headers["x-content-type-options"] == "nosniff"
    for name in ("index.html", "../routes.py", "..%2froutes.py", "%2e%2e/routes.py"):
        assert (await api.get(f"/docs/assets/{name}")).status_code == 404


async def test_the_viewer_understands_the_version_of_the_document(api: httpx.AsyncClient) -> None:
    document = (await api.get("/schema/openapi.json")).json()
    script = (await api.get("/docs/assets/swagger-ui-bundle.js")).text

    assert document["openapi"].startswith("3.1")
    assert re.search(r'PACKAGE_VERSION:"5\.', script)


async def test_every_problem_type_leads_to_a_row_of_the_page(api: httpx.AsyncClient) -> None:
    page = (await api.get("/docs/problems")).text

    for kind in kinds():
        assert f'id="{kind.code}"' in page


async def test_the_document_is_served_with_where_it_counts(api: httpx.AsyncClient) -> None:
    document = (await api.get("/schema/openapi.json")).json()

    assert document["info"]["title"] == "Pintuan"
    assert document["servers"]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_health_answers_as_documented(api: httpx.AsyncClient, path: str) -> None:
    document = (await api.get("/schema/openapi.json")).json()
    response = await api.get(path)

    documented = document["paths"][path]["get"]["responses"][str(response.status_code)]
    validate(document, documented["content"]["application/json"]["schema"], response.json())


async def test_a_problem_answers_as_documented(api: httpx.AsyncClient) -> None:
    document = (await api.get("/schema/openapi.json")).json()
    response = await api.get("/v1/products/prd_0")

    documented = document["paths"]["/v1/products/{product_id}"]["get"]["responses"]["404"]
    validate(document, documented["content"]["application/problem+json"]["schema"], response.json())


def validate(document: dict[str, object], schema: object, value: object) -> None:
    jsonschema.Draft202012Validator(
        {"$defs": {}, "allOf": [schema], "components": document["components"]},
        format_checker=jsonschema.FormatChecker(),
    ).validate(value)

"""Holds every response to the OpenAPI document: its status, its media type, and its body."""

from __future__ import annotations

import re
from copy import deepcopy
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import httpx
import jsonschema

PROBLEM_TYPE: Final = "application/problem+json"
PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
# Pages for people; the document describes the API alone.
UNDOCUMENTED: Final = ("/docs", "/schema/openapi.json", "/dev/outbox")
# Their refusals are pages as well.
PAGES: Final = ("/g/", "/pages/")
# What no operation answers: there is none of that path or method.
UNROUTED: Final = (404, 405)

_UTC_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_PARAMETER: Final = re.compile(r"\{[^}]+\}")
_formats: Final = jsonschema.FormatChecker(formats=())


@_formats.checks("date-time", raises=ValueError)
def _is_utc_time(value: object) -> bool:
    """RFC 3339, and in UTC, as every time the API answers."""
    return isinstance(value, str) and bool(_UTC_TIME.fullmatch(value) and datetime.fromisoformat(value))


class Contract:
    """The document, and what it says of a response."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._operations = {
            (path, method.upper()): operation
            for path, item in document["paths"].items()
            for method, operation in item.items()
        }
        self._validators: dict[str, jsonschema.Draft202012Validator] = {}

    async def check(self, response: httpx.Response) -> None:
        """Raises AssertionError for a response that is not as documented; an httpx event hook."""
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            return
        await response.aread()
        request = response.request
        if request.url.path.startswith(PAGES):
            return
        where = f"{request.method} {request.url.raw_path.decode()} -> {response.status_code}"
        if request.method == "OPTIONS" and response.status_code == httpx.codes.NO_CONTENT:
            assert "allow" in response.headers, where
            return
        operation = self._operation_of(request)
        if operation is None:
            known = response.status_code < 400 and request.url.path.startswith(UNDOCUMENTED)
            if not known and request.method == "HEAD":
                assert (response.status_code in UNROUTED, response.content) == (True, b""), where
            elif not known:
                assert response.status_code in UNROUTED, f"{where} is not documented"
                self._check_body(where, response, {PROBLEM_TYPE: {"schema": PROBLEM}})
            return
        documented = operation["responses"].get(str(response.status_code))
        assert documented is not None, f"{where} is not a documented status: {response.text[:500]}"
        if request.method == "HEAD":
            assert response.content == b"", f"{where} has a body"
        else:
            self._check_body(where, response, documented.get("content", {}))
        for name in documented.get("headers", {}):
            assert name in response.headers, f"{where} lacks {name}"

    def validate(self, schema: dict[str, Any], value: object) -> None:
        """Raises AssertionError for a value that does not fit, or has a field the schema does not name."""
        key = repr(schema)
        if key not in self._validators:
            self._validators[key] = jsonschema.Draft202012Validator(
                {"allOf": [_closed(schema)], "components": self._components}, format_checker=_formats
            )
        error = next(self._validators[key].iter_errors(value), None)
        assert error is None, f"{error.json_path}: {error.message}"

    def _operation_of(self, request: httpx.Request) -> dict[str, Any] | None:
        path = request.url.raw_path.decode().partition("?")[0]
        matches = [template for template, pattern in self._patterns if pattern.fullmatch(path)]
        if not matches:
            return None
        template = min(matches, key=lambda template: template.count("{"))
        # HEAD answers what GET does, but for the body.
        return self._operations.get((template, "GET" if request.method == "HEAD" else request.method))

    @cached_property
    def _patterns(self) -> list[tuple[str, re.Pattern[str]]]:
        templates = {path for path, _ in self._operations}
        return [
            (path, re.compile("[^/]+".join(map(re.escape, _PARAMETER.split(path))) + "/?"))
            for path in sorted(templates)
        ]

    @cached_property
    def _components(self) -> dict[str, Any]:
        return {
            "schemas": {
                name: _closed(schema) for name, schema in self.document["components"]["schemas"].items()
            }
        }

    def _check_body(self, where: str, response: httpx.Response, content: dict[str, Any]) -> None:
        if not content:
            assert response.content == b"", f"{where} has a body"
            return
        media_type = response.headers.get("content-type", "").partition(";")[0]
        assert media_type in content, f"{where} answers {media_type!r}, not {sorted(content)}"
        if media_type.endswith("json"):
            try:
                self.validate(content[media_type]["schema"], response.json())
            except AssertionError as error:
                raise AssertionError(f"{where} {error}\n{response.text[:2000]}") from None


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema with every object closed: a field that is not in it is a mistake in one of the two."""
    closed = deepcopy(schema)
    pending: list[Any] = [closed]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if isinstance(node.get("properties"), dict):
                node.setdefault("additionalProperties", False)
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
    return closed

"""The document is whole: whatever it names it describes, with examples that fit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema
from openapi_spec_validator import OpenAPIV31SpecValidator

from pintuan.app import create_app
from pintuan.base.settings.settings import Settings

SECRET_KEY = "a key that signs tokens in tests and nowhere else"


@cache
def document() -> dict[str, Any]:
    """The contract as an API serves it."""
    served: dict[str, Any] = json.loads(create_app(Settings(secret_key=SECRET_KEY)).state.openapi())
    return served


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            yield f"{method} {path}", operation


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every request body and every response, with where it stands."""
    for where, operation in operations():
        if "requestBody" in operation:
            yield f"{where} request", operation["requestBody"]
        for status, response in operation["responses"].items():
            yield f"{where} {status}", response


def examples_of(media: dict[str, Any]) -> list[Any]:
    many = [example["value"] for example in media.get("examples", {}).values()]
    return [*many, *([media["example"]] if "example" in media else [])]


def fault_of(schema: dict[str, Any], value: object) -> str | None:
    """What is wrong with a value, or None when it fits."""
    validator = jsonschema.Draft202012Validator(
        {"allOf": [schema], "components": document()["components"]},
        format_checker=jsonschema.FormatChecker(),
    )
    error = next(validator.iter_errors(value), None)
    return f"{error.json_path}: {error.message}" if error else None


def test_the_document_is_valid_openapi() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []


def test_names_are_readable_and_each_operation_has_its_own() -> None:
    names = [operation["operationId"] for _, operation in operations()]
    assert len(names) == len(set(names)), "two handlers have the same name"
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []
    assert [
        name for name in document()["components"]["schemas"] if not re.fullmatch(r"[A-Za-z]+", name)
    ] == []


def test_every_operation_says_what_it_does_and_whose_it_is() -> None:
    tags = {tag["name"]: tag["description"] for tag in document()["tags"]}
    assert all(tags.values())
    for where, operation in operations():
        assert operation["summary"], where
        assert operation["description"], where
        assert set(operation["tags"]) <= set(tags), where
        assert "500" in operation["responses"], where


def test_every_field_is_described_and_has_an_example() -> None:
    silent = [
        f"{name}.{field}: {what}"
        for name, schema in document()["components"]["schemas"].items()
        for field, property_ in schema.get("properties", {}).items()
        for what in _missing_in(property_)
    ]
    assert silent == []


def _missing_in(property_: dict[str, Any]) -> Iterator[str]:
    if "$ref" in property_ and len(property_) == 1:
        # The struct it refers to says it.
        return
    if not property_.get("description"):
        yield "no description"
    # Of two fields that must not both be given, one shows what it looks like in its description.
    if not _shows_itself(property_) and "`" not in property_.get("description", ""):
        yield "no example"


def _shows_itself(schema: dict[str, Any]) -> bool:
    if any(key in schema for key in ("examples", "enum", "const", "$ref")):
        return True
    alternatives = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    if alternatives:
        return any(_shows_itself(alternative) for alternative in alternatives)
    if schema.get("type") == "array":
        return _shows_itself(schema["items"])
    return schema.get("type") == "boolean"


def test_every_schema_is_described() -> None:
    schemas = document()["components"]["schemas"]
    assert [name for name, schema in schemas.items() if not schema.get("description")] == []


def test_every_parameter_is_described_and_has_an_example_that_fits() -> None:
    faults = []
    for where, operation in operations():
        for parameter in operation.get("parameters", []):
            name = f"{where} {parameter['name']}"
            if not parameter.get("description"):
                faults.append(f"{name}: no description")
            if "example" not in parameter:
                faults.append(f"{name}: no example")
            elif fault := fault_of(parameter["schema"], parameter["example"]):
                faults.append(f"{name}: {fault}")
    assert faults == []


def test_every_json_body_has_examples_that_fit_and_every_body_is_described() -> None:
    faults = []
    for where, body in bodies():
        if not body.get("description") or body["description"].endswith("document follows"):
            faults.append(f"{where}: no description")
        for media_type, media in body.get("content", {}).items():
            if "json" in media_type and not examples_of(media):
                faults.append(f"{where}: no example")
            faults += [
                f"{where}: {fault}"
                for value in examples_of(media)
                if (fault := fault_of(media["schema"], value))
            ]
    assert faults == []


def test_requests_refuse_fields_they_do_not_know() -> None:
    schemas = document()["components"]["schemas"]
    pending = [
        media["schema"]
        for where, body in bodies()
        if where.endswith("request")
        for media in body["content"].values()
    ]
    seen: set[str] = set()
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            if name and name not in seen:
                seen.add(name)
                pending.append(schemas[name])
            if "properties" in node:
                assert node.get("additionalProperties") is False, sorted(node["properties"])
            pending.extend(value for key, value in node.items() if key not in ("examples", "default"))
    assert {"NewProduct", "NewVariant", "NewDeal", "NewOrder"} <= seen


def test_headers_are_described_and_every_response_names_its_request() -> None:
    for name, header in document()["components"]["headers"].items():
        assert header["description"], name
        assert fault_of(header["schema"], header["example"]) is None, name
    for where, operation in operations():
        for status, response in operation["responses"].items():
            headers = response["headers"]
            assert "X-Request-Id" in headers, where
            assert ("Retry-After" in headers) == (status in ("429", "503")), where
            assert ("WWW-Authenticate" in headers) == (status == "401"), where
        not_modified = "304" in operation["responses"]
        assert ("ETag" in operation["responses"].get("200", {}).get("headers", {})) == not_modified, where
        names = [parameter["name"] for parameter in operation.get("parameters", [])]
        assert ("If-None-Match" in names) == not_modified, where


def test_every_refusal_is_a_problem_document_with_its_codes() -> None:
    for where, operation in operations():
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                problem = response["content"]["application/problem+json"]
                assert problem["examples"], f"{where} {status}"


def test_a_token_and_a_key_are_described_as_what_one_signs_in_with() -> None:
    schemes = document()["components"]["securitySchemes"]
    assert set(schemes) == {"bearer", "api_key"}
    assert all(scheme["scheme"] == "bearer" and scheme["description"] for scheme in schemes.values())


def test_api_keys_are_offered_where_merchants_may_call_with_them() -> None:
    schemes = {
        operation["operationId"]: {name for scheme in operation.get("security", ()) for name in scheme}
        for _, operation in operations()
    }
    assert schemes["create_deal"] == schemes["list_api_keys"] == {"bearer", "api_key"}
    assert schemes["list_orders"] == schemes["create_api_key"] == {"bearer"}
    assert schemes["get_deal"] == {"bearer", "api_key"}


def schemas_in(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document but examples; fields of a struct are schemas, whatever they are called."""
    if isinstance(node, list):
        for entry in node:
            yield from schemas_in(entry)
    elif isinstance(node, dict):
        yield node
        for key, value in node.items():
            if key == "properties":
                yield from schemas_in(list(value.values()))
            elif key not in ("example", "examples", "default", "const", "enum"):
                yield from schemas_in(value)


def test_every_value_says_its_type_and_numbers_have_room_for_money() -> None:
    faults = [
        node
        for node in schemas_in(document())
        if ("enum" in node and "type" not in node)
        or (node.get("type") == "integer" and node.get("format") != "int64")
        or (node.get("type") == "object" and not {"properties", "additionalProperties"} & node.keys())
    ]
    assert faults == []


def test_every_time_of_an_answer_has_its_format() -> None:
    times = {
        f"{name}.{field}": property_
        for name, schema in document()["components"]["schemas"].items()
        for field, property_ in schema.get("properties", {}).items()
        if field.endswith("_at") or field == "deadline"
    }
    assert {name for name, schema in times.items() if not has_format(schema, "date-time")} == set()
    assert "Group.deadline" in times


def has_format(schema: dict[str, Any], format_: str) -> bool:
    choices = schema.get("anyOf", [schema])
    return any(choice.get("format") == format_ for choice in choices if choice["type"] == "string")


def test_no_field_of_a_request_must_be_given_because_it_has_a_default() -> None:
    order = document()["components"]["schemas"]["NewOrder"]
    assert [node for node in schemas_in(document()["components"]["schemas"]) if "default" in node] == []
    assert order["required"] == ["payment_method"]
    assert order["properties"]["quantity"]["description"].endswith("`1` if left out.")


def test_what_an_answer_always_has_is_required() -> None:
    schemas = document()["components"]["schemas"]
    assert "visibility" in schemas["Product"]["required"]
    assert "reason" not in schemas["Payment"]["required"]


def test_every_operation_says_who_may_call_and_public_ones_say_that_all_may() -> None:
    security = {operation["operationId"]: operation["security"] for _, operation in operations()}
    assert security["send_code"] == []
    assert security["join_group"] == [{"bearer": []}]
    assert {} in security["get_group"]


def test_webhooks_and_the_calls_about_them_are_told_apart_by_generators() -> None:
    told = {tag for item in document()["webhooks"].values() for tag in item["post"]["tags"]}
    called = {tag for _, operation in operations() for tag in operation["tags"]}
    assert told == {"webhook events"}
    assert told & called == set()
    assert "webhooks" not in told | called


def test_the_document_names_licence_and_contact() -> None:
    info = document()["info"]
    assert info["license"]["identifier"] == "Apache-2.0"
    assert info["contact"]["name"]


def test_links_to_share_are_addresses() -> None:
    schemas = document()["components"]["schemas"]
    for name in ("Group", "JoinableGroup", "Invite"):
        assert has_format(schemas[name]["properties"]["share_url"], "uri"), name

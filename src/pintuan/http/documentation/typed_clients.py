"""The details that generators of typed clients need, beside those a validator needs.

msgspec describes what it decodes. A generator makes types from the document: without a format a number has 32
bits, an enumeration has no type, and a field with a default has to be given.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# Keys under which there are values or names of fields, and no schemas.
_NOT_SCHEMAS: Final = frozenset({"example", "examples", "default", "const", "enum", "required", "properties"})


def suit_typed_clients(document: dict[str, Any]) -> None:
    """Completes every schema of an OpenAPI document in place; it is called when nothing else changes them."""
    schemas = document["components"]["schemas"]
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    asked = [operation["requestBody"] for operation in operations if "requestBody" in operation]
    for name in _named_in(asked, schemas):
        _leave_defaults_to_the_server(schemas[name])
    answered = [operation["responses"] for operation in operations]
    for name in _named_in([*answered, document["webhooks"]], schemas):
        _require_what_is_always_there(schemas[name])
    for node in _nodes(document):
        _say_the_type(node)


def _named_in(holders: list[Any], schemas: dict[str, Any]) -> set[str]:
    """Returns the names of the schemas that these refer to, at whatever depth."""
    pending, names = list(holders), set[str]()
    while pending:
        for node in _nodes(pending.pop()):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            if name in schemas and name not in names:
                names.add(name)
                pending.append(schemas[name])
    return names


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yields every object that may be a schema, the outer ones first."""
    if isinstance(node, list):
        for entry in node:
            yield from _nodes(entry)
    elif isinstance(node, dict):
        yield node
        yield from _nodes(list(node.get("properties", {}).values()))
        for key, value in node.items():
            if key not in _NOT_SCHEMAS:
                yield from _nodes(value)


def _leave_defaults_to_the_server(schema: dict[str, Any]) -> None:
    """Says defaults of a request's fields in words.

    Some generators demand a field that has a default, because one in an answer is always there.
    """
    for property_ in schema.get("properties", {}).values():
        default = property_.pop("default", None)
        if default is not None:
            property_["description"] += f" `{json.dumps(default)}` if left out."


def _require_what_is_always_there(schema: dict[str, Any]) -> None:
    """Requires the fields of an answer that have a default: they are always written.

    A field whose default is null is left out instead.
    """
    fields = schema.get("properties", {})
    defaults = {name: field["default"] for name, field in fields.items() if "default" in field}
    written = {*schema.get("required", ()), *(name for name in defaults if defaults[name] is not None)}
    if written:
        schema["required"] = [name for name in fields if name in written]
    for property_ in fields.values():
        property_.pop("default", None)


def _say_the_type(node: dict[str, Any]) -> None:
    if "anyOf" in node and "format" in node:
        # A format stands with the type it is about; beside a choice of types generators pass it over.
        of_text = next(choice for choice in node["anyOf"] if choice["type"] == "string")
        of_text["format"] = node.pop("format")
    if node.get("type") == "integer":
        # Money in minor units and the sums of it do not fit into 32 bits.
        node.setdefault("format", "int64")
    if "enum" in node and "type" not in node:
        node["type"] = ["string", "null"] if None in node["enum"] else "string"
    if node.get("type") == "object" and not {"properties", "additionalProperties"} & node.keys():
        node["additionalProperties"] = True

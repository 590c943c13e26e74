"""Puts one example of a whole body together from the examples its fields carry."""

from __future__ import annotations

from typing import Any, Final

_REF_PREFIX: Final = "#/components/schemas/"


def example_of(
    schema: dict[str, Any], schemas: dict[str, Any], *, inside: frozenset[str] = frozenset()
) -> Any:
    """Returns an example value for a JSON schema, or None where nothing says what one looks like.

    `inside` names the schemas around this one: where one contains itself, the inner one is left out.
    """
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF_PREFIX)
        return None if name in inside else example_of(schemas[name], schemas, inside=inside | {name})
    given = _given_example(schema)
    if given is not None:
        return given
    for alternative in (*schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())):
        example = example_of(alternative, schemas, inside=inside)
        if example is not None:
            return example
    if "properties" in schema:
        required = schema.get("required", schema["properties"])
        return {
            name: example_of(property_, schemas, inside=inside)
            for name, property_ in schema["properties"].items()
            # Optional fields are left out if nobody gave an example of them.
            if name in required or _is_exemplified(property_)
        }
    if "items" in schema:
        item = example_of(schema["items"], schemas, inside=inside)
        return [] if item is None else [item]
    return _plain_example(schema)


def _is_exemplified(schema: dict[str, Any]) -> bool:
    if "$ref" in schema or "examples" in schema or "enum" in schema or schema.get("type") == "boolean":
        return True
    inner = [
        *schema.get("anyOf", ()),
        *schema.get("oneOf", ()),
        *([schema["items"]] if "items" in schema else []),
    ]
    return any(_is_exemplified(entry) for entry in inner)


def _given_example(schema: dict[str, Any]) -> Any:
    examples = schema.get("examples")
    if isinstance(examples, list) and examples:
        return examples[0]
    for key in ("example", "const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    return schema["enum"][0] if schema.get("enum") else None


def _plain_example(schema: dict[str, Any]) -> Any:
    match schema.get("type"):
        case "boolean":
            return False
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "string":
            return "2026-05-01T18:30:00Z" if schema.get("format") == "date-time" else "text"
        case _:
            return None

"""Examples of bodies are put together from those of their fields."""

from typing import Any

from pintuan.http.documentation.examples import example_of

SCHEMAS: dict[str, Any] = {
    "Money": {"properties": {"amount": {"type": "integer", "examples": [5]}}},
    "Tree": {"properties": {"child": {"$ref": "#/components/schemas/Tree"}}},
}


def test_an_example_goes_through_references_and_alternatives() -> None:
    schema = {
        "properties": {
            "price": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Money"}]},
            "tags": {"items": {"type": "string", "enum": ["new"]}},
            "sold": {"type": "boolean"},
            "count": {"type": "integer", "minimum": 2},
        }
    }

    assert example_of(schema, SCHEMAS) == {
        "price": {"amount": 5},
        "tags": ["new"],
        "sold": False,
        "count": 2,
    }


def test_a_schema_that_contains_itself_ends() -> None:
    example = example_of({"$ref": "#/components/schemas/Tree"}, SCHEMAS)

    assert isinstance(example, dict)

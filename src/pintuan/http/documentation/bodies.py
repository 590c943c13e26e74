"""The schemas of bodies, made by msgspec from the very structs that decode and encode them.

The framework's own generator loses the members of a union and rules on unknown fields. The decoder of
requests is therefore asked what it accepts.
"""

from __future__ import annotations

import re
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response

from pintuan.base.wire.patterns import TEXT_PATTERN
from pintuan.http.documentation.examples import example_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from litestar.handlers import HTTPRouteHandler

JSON: Final = "application/json"
REF: Final = "#/components/schemas/{name}"
# The framework's description of a response that a route leaves undescribed.
_SAID_BY_DEFAULT: Final = ("document follows", "URL follows")
# Values, in which a key is somebody's field and no keyword.
_VALUES: Final = frozenset({"examples", "default", "const", "enum"})
_PAGE_NAME: Final = re.compile(r"\bPage_([A-Za-z]+)_")


def describe_bodies(
    operations: Sequence[tuple[HTTPRouteHandler, dict[str, Any]]],
    *,
    composed: Mapping[type, type],
    besides: Sequence[type],
) -> dict[str, Any]:
    """Gives every JSON body of the operations its schema and its example; returns the schemas they refer to.

    `composed` has the types that take the place of those routes name; `besides` has types whose schemas are
    needed too.
    """
    bodies = [entry for handler, operation in operations for entry in _bodies_of(handler, operation)]
    types = [composed.get(type_, type_) if isinstance(type_, type) else type_ for type_, _, _ in bodies]
    encoded, components = msgspec.json.schema_components([*types, *besides], ref_template=REF)
    schemas = {_PAGE_NAME.sub(r"\1Page", name): _tidy(schema) for name, schema in components.items()}
    for schema in schemas.values():
        _describe_tag(schema)
    for (_, holder, media), schema in zip(bodies, encoded, strict=False):
        media["schema"] = _tidy(schema)
        example = example_of(media["schema"], schemas)
        if example is not None:
            media.setdefault("example", example)
        _describe(holder, media["schema"], schemas)
    for _, operation in operations:
        for response in operation["responses"].values():
            if response["description"].endswith(_SAID_BY_DEFAULT):
                response["description"] = f"{operation['summary']}."
    requests = [operation.get("requestBody", {}).get("content", {}) for _, operation in operations]
    _refuse_nul([content[JSON] for content in requests if JSON in content], schemas)
    return schemas


def _bodies_of(
    handler: HTTPRouteHandler, operation: dict[str, Any]
) -> Iterator[tuple[Any, dict[str, Any], dict[str, Any]]]:
    """Yields (type, request body or response, media type object) of each JSON body."""
    request = operation.get("requestBody", {})
    data = handler.parsed_fn_signature.parameters.get("data")
    if data is not None and JSON in request.get("content", {}):
        yield data.annotation, request, request["content"][JSON]
    for status, response in operation["responses"].items():
        if JSON in response.get("content", {}):
            yield _answer_of(handler, int(status)), response, response["content"][JSON]


def _answer_of(handler: HTTPRouteHandler, status: int) -> Any:
    described = (handler.responses or {}).get(status)
    if described is not None:
        return described.data_container
    answer = handler.parsed_return_field
    return answer.inner_types[0].annotation if answer.is_subclass_of(Response) else answer.annotation


def _describe(holder: dict[str, Any], schema: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Says of a body what its struct, or each of several, says of itself, unless its route says more."""
    names = [entry.get("$ref", "").rpartition("/")[2] for entry in (schema, *schema.get("anyOf", ()))]
    said = [schemas[name]["description"] for name in names if schemas.get(name, {}).get("description")]
    if said and holder.setdefault("description", _SAID_BY_DEFAULT[0]).endswith(_SAID_BY_DEFAULT):
        holder["description"] = " Or: ".join(said)


def _describe_tag(schema: dict[str, Any]) -> None:
    """Describes the tag field of a union; msgspec gives it no description."""
    for property_ in schema.get("properties", {}).values():
        if set(property_) == {"enum"}:
            property_["description"] = "Always this; it tells this body from the others."


def _refuse_nul(requests: list[Any], schemas: dict[str, Any]) -> None:
    """Says of every text of requests what holds for all of them: Postgres keeps every character but NUL."""
    pending, seen = list(requests), set()
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            if name in schemas and name not in seen:
                seen.add(name)
                pending.append(schemas[name])
            if node.get("type") == "string" and not {"pattern", "format", "enum"} & node.keys():
                node["pattern"] = TEXT_PATTERN
            pending.extend(value for key, value in node.items() if key not in {*_VALUES, "example"})


def _tidy(node: Any) -> Any:
    """The same schema with readable names, without titles that repeat them and with flush descriptions."""
    if isinstance(node, list):
        return [_tidy(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    tidy = {
        key: value if key in _VALUES else _tidy(value)
        for key, value in node.items()
        if key != "title" or not isinstance(value, str)
    }
    if "$ref" in tidy:
        tidy["$ref"] = _PAGE_NAME.sub(r"\1Page", tidy["$ref"])
    if isinstance(tidy.get("description"), str):
        tidy["description"] = cleandoc(tidy["description"])
    if isinstance(tidy.get("examples"), list):
        tidy["examples"] = tidy["examples"][:1]
    return tidy

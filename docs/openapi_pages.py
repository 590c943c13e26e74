"""Writes the reference of the HTTP API into the site, from the OpenAPI document the code makes.

A Sphinx extension: the page `reference/api` has a few lines of its own, and gets the calls and shapes when it
is read. Nothing is generated into the source tree, and the page cannot fall behind the code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pintuan.app import create_app
from pintuan.base.settings.settings import Settings

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PAGE: Final = "reference/api"
_SECRET_KEY: Final = "signs nothing: an application that only describes itself"  # noqa: S105 - it guards nothing.
_REF: Final = "#/components/schemas/"
_METHODS: Final = ("get", "post", "put", "patch", "delete", "head", "options")
_FIRST_ERROR: Final = 400


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the extension; Sphinx calls it by this name."""
    app.connect("source-read", _append_reference)
    return {"parallel_read_safe": True}


def reference_of(document: dict[str, Any]) -> str:
    """Returns the document's calls, by tag, and its shapes as Markdown with second-level headings."""
    sections = [section for tag in document["tags"] for section in _tag_section(document, tag)]
    shapes = document["components"]["schemas"]
    return "\n".join((*sections, "", "## Shapes", "", *_shape_sections(shapes)))


def _append_reference(_app: Sphinx, name: str, source: list[str]) -> None:
    if name == PAGE:
        document = json.loads(create_app(Settings(secret_key=_SECRET_KEY)).state.openapi())
        source[0] = f"{source[0]}\n{reference_of(document)}\n"


def _tag_section(document: dict[str, Any], tag: dict[str, str]) -> Iterator[str]:
    calls = [
        (path, method, item[method])
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item and tag["name"] in item[method].get("tags", ())
    ]
    if calls:
        yield from ("", f"## {tag['name'].capitalize()}", "", tag.get("description", ""))
    for path, method, operation in calls:
        yield from _call_section(path, method, operation)


def _call_section(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"### {operation['summary']}", "", f"`{method.upper()} {path}`", "")
    yield operation.get("description", "")
    yield ""
    if operation.get("security") == [{"bearer": []}]:
        yield "- Needs an access token."
    for parameter in operation.get("parameters", ()):
        yield f"- {parameter['in']} `{parameter['name']}`: {_sentence(parameter)}"
    for body in _content_of(operation.get("requestBody", {})):
        yield f"- Body: {body}"
    for status, response in operation["responses"].items():
        if int(status) < _FIRST_ERROR:
            shapes = ", ".join(_content_of(response)) or "no body"
            yield f"- Answers `{status}` with {shapes}."
    codes = [code for response in operation["responses"].values() for code in _codes_of(response)]
    if codes:
        yield f"- Problems: {', '.join(f'`{code}`' for code in codes)}."


def _content_of(holder: dict[str, Any]) -> list[str]:
    """What a body or a response carries; a media type other than JSON is named."""
    return [
        _type_of(content.get("schema", {})) if media_type == "application/json" else f"`{media_type}`"
        for media_type, content in holder.get("content", {}).items()
    ]


def _codes_of(response: dict[str, Any]) -> list[str]:
    return list(response.get("content", {}).get("application/problem+json", {}).get("examples", ()))


def _shape_sections(shapes: dict[str, Any]) -> Iterator[str]:
    for name in sorted(shapes, key=lambda name: _title_of(name).lower()):
        shape = shapes[name]
        yield from (f"({_anchor_of(name)})=", f"### {_title_of(name)}", "", shape.get("description", ""), "")
        if "properties" not in shape:
            continue
        required = shape.get("required", ())
        yield from ("| field | type | |", "|---|---|---|")
        for field, schema in shape["properties"].items():
            optional = "" if field in required else ", optional"
            yield f"| `{field}` | {_type_of(schema)}{optional} | {_cell(_sentence(schema))} |"
        yield ""


def _type_of(schema: dict[str, Any]) -> str:
    """Names a schema in a few words, with a link where it is a shape of its own."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        return f"[{_title_of(name)}](#{_anchor_of(name)})"
    alternatives = schema.get("oneOf") or schema.get("anyOf")
    if alternatives:
        return " or ".join(dict.fromkeys(_type_of(alternative) for alternative in alternatives))
    if schema.get("enum"):
        return " or ".join(f"`{'null' if value is None else value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    if schema.get("format") == "date-time":
        return "time"
    kind = schema.get("type", "any value")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _sentence(schema: dict[str, Any]) -> str:
    return " ".join(str(schema.get("description", "")).split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _title_of(name: str) -> str:
    """`Page_pintuan.deals.schemas.Deal_` is how a generic type comes out; readers see `Page of Deal`."""
    generic, underscore, inner = name.rstrip("_").partition("_")
    return f"{generic} of {inner.rpartition('.')[2]}" if underscore else name


def _anchor_of(name: str) -> str:
    return f"shape-{_title_of(name).lower().replace(' ', '-')}"

"""A browser without JavaScript: it keeps cookies, follows redirects, and sends the forms that a page has."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx

from tests.acceptance.signing_in import read_code

# Elements without an end tag (WHATWG HTML section 13.1.2).
VOID = {"meta", "link", "input", "br", "img", "hr"}


@dataclass
class Form:
    """A form of a page, and what a browser would send of it where nobody changed a thing."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Element:
    name: str
    attributes: dict[str, str]


class Page(HTMLParser):
    """A page taken apart: its elements, its forms and its text. It raises where tags do not match."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(convert_charrefs=True)
        self.response = response
        self.elements: list[Element] = []
        self.forms: dict[str, Form] = {}
        self._open: list[str] = []
        self._form: Form | None = None
        self._text: list[str] = []
        self._by_id: dict[str, list[str]] = {}
        self._ids: list[str] = []
        self.feed(response.text)
        assert not self._open, f"not closed: {self._open}"

    @property
    def text(self) -> str:
        return " ".join("".join(self._text).split())

    def text_of(self, element_id: str) -> str:
        return " ".join("".join(self._by_id.get(element_id, [])).split())

    def all(self, name: str, **attributes: str) -> list[Element]:
        wanted = {key.replace("_", "-"): value for key, value in attributes.items()}
        return [
            element
            for element in self.elements
            if element.name == name and wanted.items() <= element.attributes.items()
        ]

    def form(self, ending: str) -> Form:
        """The form whose action ends so, apart from its query."""
        (found,) = [form for action, form in self.forms.items() if action.partition("?")[0].endswith(ending)]
        return found

    def has_form(self, ending: str) -> bool:
        return any(action.partition("?")[0].endswith(ending) for action in self.forms)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        assert len(attributes) == len(attrs), f"an attribute twice in {tag}"
        self.elements.append(Element(tag, attributes))
        if tag not in VOID:
            self._open.append(tag)
            self._ids.append(attributes.get("id", ""))
        if tag == "form":
            self._form = Form(attributes["action"], attributes.get("method", "get"))
            self.forms[self._form.action] = self._form
        if tag == "input" and self._form is not None:
            name, value = attributes["name"], attributes.get("value", "")
            self._form.choices.setdefault(name, []).append(value)
            if attributes.get("type") != "radio" or "checked" in attributes:
                self._form.fields[name] = value

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>"
        self._open.pop()
        self._ids.pop()
        if tag == "form":
            self._form = None

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("script", "style", "title"):
            self._text.append(data)
            for element_id in filter(None, self._ids):
                self._by_id.setdefault(element_id, []).append(data)


@dataclass
class Browser:
    """One person's browser; `headers` are sent with each request."""

    client: httpx.AsyncClient
    headers: dict[str, str] = field(default_factory=dict)

    async def open(self, path: str, *, status: int = 200) -> Page:
        response = await self.client.get(path, headers=self.headers)
        assert response.status_code == status, response.text
        return Page(response)

    async def send(self, form: Form, /, *, status: int = 200, **changes: str) -> Page:
        """Sends a form, and follows where its answer leads."""
        response = await self.client.post(
            form.action, data=form.fields | changes, headers=self.headers, follow_redirects=True
        )
        assert response.status_code == status, response.text
        return Page(response)

    async def sign_in(self, page: Page, address: str) -> Page:
        """Signs in as somebody would who reads their mail."""
        asked = await self.send(page.form("/code"), contact=address)
        return await self.send(asked.form("/sign-in"), code=await read_code(self.client, address))


def is_inline_script(page: str) -> bool:
    """Whether a page holds a script or a style of its own, which its policy would refuse."""
    return bool(
        re.search(r"<script(?![^>]*\bsrc=)(?![^>]*ld\+json)|<style|\sstyle=|\son\w+=|javascript:", page)
    )

"""Templates into responses: one Jinja environment a language, and the headers that every page has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import jinja2
from litestar import MediaType, Response

from pintuan.base.locales import LANGUAGES, Language, clock_time, money, percent, span, translations_for
from pintuan.base.locales.negotiation import locale_of

if TYPE_CHECKING:
    from collections.abc import Mapping

ASSETS: Final = {"group.css": "text/css", "group.js": "text/javascript"}
ASSET_PATH: Final = "/pages/assets/"
_DIGEST_BYTES: Final = 8
# A merchant's host as it may stand in a header: nothing in it could end the directive.
_PICTURE_ORIGIN: Final = re.compile(
    r"(https://[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?(?::\d{1,5})?)/\S*"
)
_SEE_OTHER: Final = 303
# The characters that stay as they are in a URL: RFC 3986 section 2, and existing escapes.
_OF_URLS: Final = "/?#&=:@!$'()*+,;[]~%"

# Each in its own words, for readers who know no other.
_NAMES: Final[Mapping[Language, str]] = {
    "en": "English",
    "zh": "中文",
    "ko": "한국어",
    "vi": "Tiếng Việt",
    "uk": "Українська",
    "fr": "Français",
    "es": "Español",
}


@dataclass(frozen=True, slots=True)
class Tongue:
    """The language of a page; `override` is what its link asks for, to be kept in the links of the page."""

    language: Language
    override: Language | None = None


def render(
    template: str,
    tongue: Tongue,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    picture: str | None = None,
    headers: Mapping[str, str] | None = None,
    cookie: str | None = None,
) -> Response[str]:
    """Returns a page; `picture` is the one address besides this server that it may load from."""
    origin = picture_origin(picture)
    shown = dict(context) | {
        "tongue": tongue,
        "languages": _NAMES,
        "direction": locale_of(tongue.language).text_direction,
        "picture": picture if origin else None,
        "asset": asset_url,
    }
    text = _environment(tongue.language).get_template(template).render(shown)
    return Response(
        text,
        status_code=status,
        media_type=MediaType.HTML,
        headers=page_headers(tongue.language, origin) | dict(headers or {}) | _cookie_header(cookie),
    )


def redirect(location: str, *, cookie: str | None = None) -> Response[str]:
    """Returns what sends a browser on after a form, so that loading the page again repeats nothing.

    Characters that no URL holds are escaped here, because a part of `location` may come from the browser.
    """
    escaped = quote(location, safe=_OF_URLS)
    headers = {"location": escaped, "cache-control": "no-store", "referrer-policy": "no-referrer"}
    return Response(
        "", status_code=_SEE_OTHER, media_type=MediaType.HTML, headers=headers | _cookie_header(cookie)
    )


def page_headers(language: Language, origin: str | None) -> dict[str, str]:
    """Returns the headers of a page that may load pictures from `origin`, and all else from here alone."""
    pictures = "'self'" if origin is None else f"'self' {origin}"
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {pictures}; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
        # It is the reader's own, and is out of date a second later.
        "cache-control": "private, no-store",
        "vary": "accept-language, cookie",
        "content-language": language,
    }


def picture_origin(url: str | None) -> str | None:
    """Returns the origin of a picture that a page may show, which is one over TLS, or None."""
    match = None if url is None else _PICTURE_ORIGIN.fullmatch(url)
    return None if match is None else match[1]


@lru_cache(maxsize=len(ASSETS))
def asset(name: str) -> bytes:
    """Returns the content of one of `ASSETS`."""
    return files("pintuan.reach.pages").joinpath("assets", name).read_bytes()


@lru_cache(maxsize=len(ASSETS))
def asset_url(name: str) -> str:
    """Returns where an asset is; other content has another address, so browsers may keep it for good."""
    return f"{ASSET_PATH}{name}?v={blake2b(asset(name), digest_size=_DIGEST_BYTES).hexdigest()}"


def _cookie_header(cookie: str | None) -> dict[str, str]:
    return {} if cookie is None else {"set-cookie": cookie}


@lru_cache(maxsize=len(LANGUAGES))
def _environment(language: Language) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pintuan.reach.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
    )
    translations = translations_for(language)
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        translations.gettext, translations.ngettext, newstyle=True
    )
    environment.filters |= {
        "money": lambda value: money(value, language),
        "clock": lambda value: clock_time(value, language),
        "span": lambda value: span(value, language),
    }
    environment.globals["percent"] = lambda part, whole: percent(part, whole, language)
    return environment

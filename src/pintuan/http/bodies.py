"""Request bodies: strict JSON straight into the declared struct, with errors that name the field.

Litestar decodes a body into plain values and then converts them leniently: `"2"` would pass for the integer
2. Here msgspec decodes the bytes once, strictly, into the handler's type.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import msgspec
from litestar import Request
from litestar.datastructures.state import State
from litestar.exceptions import InternalServerException

from pintuan.base.auth.principal import Principal
from pintuan.base.errors import ClientGone, FieldError, InvalidInput, UnsupportedMediaType
from pintuan.base.wire.patterns import in_words

if TYPE_CHECKING:
    from collections.abc import Hashable

BODY_SIZE_MAX: Final = 64 * 1024
_DECODER_COUNT_MAX: Final = 256

_JSON_TYPE: Final = "application/json"
# The texts are msgspec's own: "Expected `int` >= 1 - at `$.variants[0].list_price.amount`",
# "Object missing required field `title`" and "Object contains unknown field `x`".
_PATH: Final = re.compile(r"^(?P<message>.*?) - at (?:`key` in )?`\$\.?(?P<path>.*)`$", re.DOTALL)
# The escape of a NUL character, which Postgres' text cannot hold; after an odd number of backslashes it only
# spells one.
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_NAMED_FIELD: Final = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<name>.*)`$")

T = TypeVar("T")


@lru_cache(maxsize=_DECODER_COUNT_MAX)
def _decoder_for(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_, strict=True)


def decode_body(body: bytes, type_: type[T]) -> T:
    """Returns `body` decoded into `type_`.

    Raises:
        InvalidInput: the bytes are not JSON, do not fit or hold a NUL character; a field is named as in
            `variants[0].sku`.
    """
    try:
        decoded: T = _decoder_for(cast("Hashable", type_)).decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInput([field_error_of(str(error))]) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput.of("body", f"is not valid JSON: {error}") from error
    except RecursionError as error:
        raise InvalidInput.of("body", "is nested too deeply") from error
    if b"u0000" in body and _NUL.search(body):
        raise InvalidInput.of("body", "holds a NUL character")
    return decoded


def field_error_of(text: str) -> FieldError:
    """Returns the field and the message that msgspec's validation text speaks of."""
    match = _PATH.match(text)
    message, path = (match["message"], match["path"]) if match else (text, "")
    named = _NAMED_FIELD.match(message)
    if named:
        path = f"{path}.{named['name']}" if path else named["name"]
        message = "is required" if named["what"] == "missing required" else "is not a field of this request"
    return FieldError(path or "body", in_words(message))


def require_json(content_type: str) -> None:
    """Refuses any media type but JSON; parameters such as a charset are allowed (RFC 9110 section 8.3).

    Raises:
        UnsupportedMediaType: the header is missing or names something else.
    """
    if content_type.split(";", 1)[0].strip().lower() != _JSON_TYPE:
        raise UnsupportedMediaType


class NoFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a call that takes none; clients may still send an empty object."""


class ApiRequest(Request[Principal | None, None, State]):
    """The request every handler sees: `user` is the caller or None, `json()` is strict and typed."""

    async def body(self) -> bytes:
        """Returns the body's bytes.

        Raises:
            ClientGone: the client hung up in the middle.
        """
        try:
            return await super().body()
        except InternalServerException as error:
            # The other reason for it, a body read twice as a stream, leaves the request disconnected.
            if self.is_connected:
                raise ClientGone from error
            raise

    async def json(self) -> Any:
        """Returns the body as the type of the handler's `data` parameter.

        Raises:
            ClientGone: see `body`.
            UnsupportedMediaType, InvalidInput: see `require_json` and `decode_body`.
        """
        require_json(self.headers.get("content-type", ""))
        field = self.route_handler.parsed_fn_signature.parameters.get("data")
        return decode_body(await self.body(), field.annotation if field is not None else Any)


async def refuse_fields(request: ApiRequest) -> None:
    """Refuses a body with fields in a call that takes none; no body and an empty object are both fine.

    Raises:
        UnsupportedMediaType, InvalidInput: see `require_json` and `decode_body`.
    """
    body = await request.body()
    if body:
        require_json(request.headers.get("content-type", ""))
        decode_body(body, NoFields)

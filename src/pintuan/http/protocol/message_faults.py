"""The answers to a message that cannot be read as one request in one way; its connection ends with it.

A proxy may see other bounds of such a message than we do, so nothing after it is read (RFC 9112 section
11.2).
"""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus
from typing import Final

from pintuan.http.problems import MEDIA_TYPE, invalid_document


class Fault(Enum):
    """Each is a status, and a sentence for the author of the client."""

    MALFORMED = (HTTPStatus.BAD_REQUEST, "is not a message of HTTP/1.1 (RFC 9112)")
    HOST = (HTTPStatus.BAD_REQUEST, "needs one Host header with a host and perhaps a port (RFC 9112 3.2)")
    TARGET = (HTTPStatus.BAD_REQUEST, "must name a path (RFC 9112 3.2)")
    CODED_1_0 = (HTTPStatus.BAD_REQUEST, "has a Transfer-Encoding, which HTTP/1.0 knows none of")
    TARGET_TOO_LONG = (HTTPStatus.REQUEST_URI_TOO_LONG, "has a target that is too long")
    # RFC 6585 section 5.
    HEAD_TOO_LARGE = (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "has too large a head or trailer section")
    CODING = (HTTPStatus.NOT_IMPLEMENTED, "has a Transfer-Encoding other than chunked")
    CONNECT = (HTTPStatus.NOT_IMPLEMENTED, "asks for a tunnel, and this is no proxy")
    VERSION = (HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "is of a version other than HTTP/1.1 and HTTP/1.0")
    CONNECTIONS = (HTTPStatus.SERVICE_UNAVAILABLE, "comes from an address with too many connections")

    @property
    def status(self) -> HTTPStatus:
        """The status it is answered with."""
        return self.value[0]

    @property
    def answer(self) -> bytes:
        """The whole response."""
        return _ANSWERS[self]


def _answer_to(fault: Fault) -> bytes:
    body = invalid_document(fault.status, fault.value[1])
    head = (
        f"HTTP/1.1 {fault.status.value} {fault.status.phrase}\r\n"
        "cache-control: no-store\r\n"
        f"content-type: {MEDIA_TYPE}\r\n"
        f"content-length: {len(body)}\r\n"
        "x-content-type-options: nosniff\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


_ANSWERS: Final = {fault: _answer_to(fault) for fault in Fault}

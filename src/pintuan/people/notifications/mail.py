"""A message as an e-mail, as servers and filters of spam ask for it.

Every server of the way may refuse or mark a mail whose form is wrong, so the header has what RFC 5322, 2045,
2369, 3282, 3834 and 8058 name. The author's domain is that of the envelope and of the id (RFC 7489 section
3.1). Words beyond ASCII are encoded here: `email` of Python 3.11 leaves out spaces between encoded words.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.charset import Charset
from email.header import Header
from email.headerregistry import (
    BaseHeader,
    HeaderRegistry,
    UniqueSingleAddressHeader,
    UniqueUnstructuredHeader,
    UnstructuredHeader,
)
from email.message import EmailMessage
from email.policy import default
from email.utils import make_msgid, parseaddr, quote
from typing import TYPE_CHECKING, Any, Final

from email_validator import validate_email

if TYPE_CHECKING:
    from email.policy import Policy

    from pintuan.people.notifications.message import Message

# RFC 2047 section 2: a line with an encoded word; RFC 5322 section 2.1.1 gives others two more.
LINE_LENGTH_MAX: Final = 76
_UTF8: Final = Charset("utf-8")
# A reader sees these as they are, without a line to be broken; the rest is encoded.
_PLAIN: Final = re.compile("[!-~]+(?: [!-~]+)*")
_ENCODED_BEGIN: Final = "=?"
# RFC 5322 section 3.2.3: what a name holds only between quotation marks.
_SPECIAL: Final = re.compile(r"[^A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]")


def mail_of(message: Message, author: str, *, now_s: float) -> EmailMessage:
    """Returns the mail of a message at a moment of real time; `author` is an address, or a name and one.

    Raises:
        ValueError, MessageError: no mail can be made of it.
    """
    name, address = parseaddr(author)
    address = _ascii_address(address)
    domain = address.rpartition("@")[2]
    mail = EmailMessage(policy=_POLICY)
    mail["Date"] = datetime.fromtimestamp(int(now_s), UTC)
    mail["From"] = f'"{quote(name)}" <{address}>' if name else address
    mail["To"] = _ascii_address(message.to)
    mail["Subject"] = message.subject
    # The same at every attempt, so that a mailbox that gets two shows one (RFC 5322 section 3.6.4).
    mail["Message-ID"] = f"<{message.id}@{domain}>" if message.id else make_msgid(domain=domain)
    # RFC 3834 section 5: nobody's vacation notice is to answer.
    mail["Auto-Submitted"] = "auto-generated"
    if message.unsubscribe_url is not None:
        # RFC 8058 section 3.1; the other header is RFC 2369's.
        mail["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(message.text)
    if message.language is not None:
        mail["Content-Language"] = message.language
    return mail


class _LinkHeader(UnstructuredHeader, BaseHeader):
    """A header with an address of the web, which may be longer than a line and must not be encoded for that.

    The standard library would make encoded words of it, which are for text alone (RFC 2047 section 5).
    """

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


class _SubjectHeader(UniqueUnstructuredHeader, BaseHeader):  # type: ignore[misc]  # As the registry derives them.
    """A line for readers, of which no space is lost, and nothing is taken for encoded already."""

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        super().parse(value, kwds)
        kwds["decoded"] = value

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {_encoded(str(self), len(self.name) + 2, policy)}{policy.linesep}"


class _AuthorHeader(UniqueSingleAddressHeader, BaseHeader):  # type: ignore[misc]  # As the registry derives them.
    """A name for readers, of which no space is lost, and an address."""

    def fold(self, *, policy: Policy) -> str:
        name, address = self.address.display_name, self.address.addr_spec
        if not name:
            return f"{self.name}: {address}{policy.linesep}"
        if _is_plain(name, len(self.name) + 4):
            shown = f'"{quote(name)}"' if _SPECIAL.search(name) else name
        else:
            shown = _encoded(name, len(self.name) + 2, policy)
        return f"{self.name}: {shown}{policy.linesep} <{address}>{policy.linesep}"


def _encoded(text: str, before: int, policy: Policy) -> str:
    """Returns a text for a header, `before` characters from its line's begin, encoded where it has to be."""
    if _is_plain(text, before):
        return text
    # The name of the header takes a part of the first line.
    header = Header(text, _UTF8, maxlinelen=LINE_LENGTH_MAX, header_name=" " * (before - 2))
    return header.encode(linesep=policy.linesep)


def _is_plain(text: str, before: int) -> bool:
    fits = len(text) <= LINE_LENGTH_MAX - before
    return fits and _ENCODED_BEGIN not in text and _PLAIN.fullmatch(text) is not None


def _ascii_address(address: str) -> str:
    """Returns the address with its domain as DNS knows it, so that fewer servers need to know SMTPUTF8."""
    checked = validate_email(address, check_deliverability=False, test_environment=True)
    return checked.ascii_email or address


_HEADERS: Final = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _LinkHeader)
_HEADERS.map_to_type("subject", _SubjectHeader)
_HEADERS.map_to_type("from", _AuthorHeader)
# Not every server takes bytes beyond ASCII (RFC 6152), and what is encoded on the way breaks its signature.
_POLICY: Final = default.clone(header_factory=_HEADERS, cte_type="7bit")

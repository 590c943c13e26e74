"""E-mail addresses and phone numbers, in the one form in which they are compared, kept and written to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec
import phonenumbers
from email_validator import EmailNotValidError, validate_email

from pintuan.errors import FieldError, InvalidInput
from pintuan.identity.schemas import EMAIL_LENGTH_MAX, PHONE_LENGTH_MAX
from pintuan.notifications.message import Channel, recipient_digests

if TYPE_CHECKING:
    from pintuan.auth.keyring import Keyring

ContactKind: TypeAlias = Literal["email", "phone", "user"]
_PHONE: Final = re.compile(r"[+＋][\d\s().\-\u2010-\u2015]+")
_CHANNELS: Final[dict[ContactKind, Channel]] = {"email": "email", "phone": "sms", "user": "push"}


class Contact(msgspec.Struct, frozen=True):
    """A way to reach somebody; `address` is normalised: a lower-case e-mail address or an E.164 number.

    That of a `user` is whom their access token names, which the push service of an app knows them by.
    """

    kind: ContactKind
    address: str

    @property
    def channel(self) -> Channel:
        """How a message gets there."""
        return _CHANNELS[self.kind]

    def digests(self, keyring: Keyring) -> list[bytes]:
        """Returns the keyed hashes the contact may be kept under, the current one first."""
        return recipient_digests(keyring, self.channel, self.address)


def contact_of(email: str | None, phone: str | None, *, fictional: bool) -> Contact:
    """Returns the one contact that is given; `fictional` takes the domain `.test` (RFC 6761).

    Raises:
        InvalidInput: none or both are given, or the one given is no address.
    """
    if email is not None and phone is not None:
        message = "give either email or phone, not both"
        raise InvalidInput([FieldError("email", message), FieldError("phone", message)])
    if email is not None:
        return Contact("email", _normal_email(email, fictional=fictional))
    if phone is not None:
        return Contact("phone", _normal_phone(phone))
    raise InvalidInput.of("email", "give email or phone")


def _normal_email(text: str, *, fictional: bool) -> str:
    if len(text) > EMAIL_LENGTH_MAX:
        raise InvalidInput.of("email", f"is longer than {EMAIL_LENGTH_MAX} characters")
    try:
        checked = validate_email(text, check_deliverability=False, test_environment=fictional)
    except EmailNotValidError as error:
        raise InvalidInput.of("email", f"is not an e-mail address: {error}") from error
    if "." not in checked.domain:
        raise InvalidInput.of("email", "is not an e-mail address: its domain has no period")
    # Mail servers may tell cases apart in the local part (RFC 5321 section 2.4); hardly any does, and nobody
    # types their address the same way each time.
    return checked.normalized.lower()


def _normal_phone(text: str) -> str:
    if len(text) > PHONE_LENGTH_MAX:
        raise InvalidInput.of("phone", f"is longer than {PHONE_LENGTH_MAX} characters")
    not_a_number = InvalidInput.of(
        "phone", "is not a phone number with its country code, such as +33123456789"
    )
    # The parser would find a number in any text, and read letters as the keys they share.
    if _PHONE.fullmatch(text.strip()) is None:
        raise not_a_number
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException as error:
        raise not_a_number from error
    if not phonenumbers.is_possible_number(number):
        raise InvalidInput.of("phone", "is not a phone number: it has too few or too many digits")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

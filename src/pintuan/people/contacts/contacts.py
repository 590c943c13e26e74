"""E-mail addresses and phone numbers, in the one form in which they are compared, kept and written to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec
import phonenumbers
from email_validator import EmailNotValidError, validate_email

from pintuan.base.errors import FieldError, InvalidInput
from pintuan.people.contacts import typed
from pintuan.people.contacts.channels import Channel
from pintuan.people.contacts.digests import recipient_digests
from pintuan.people.contacts.limits import EMAIL_LENGTH_MAX, PHONE_LENGTH_MAX

if TYPE_CHECKING:
    from pintuan.base.keyring import Keyring

ContactKind: TypeAlias = Literal["email", "phone", "user"]
# Numbers in books have the country code in brackets, and a slash behind that of the town.
_PHONE: Final = re.compile(r"\(?\+[0-9 ().\-/]+")
# Types of numbers that cost the sender more, that are paid for receiving, or that show no texts. A new range
# is of no known type for a while, so numbers of none are taken.
_REFUSED_TYPES: Final = frozenset(
    (
        phonenumbers.PhoneNumberType.PREMIUM_RATE,
        phonenumbers.PhoneNumberType.SHARED_COST,
        phonenumbers.PhoneNumberType.TOLL_FREE,
        phonenumbers.PhoneNumberType.PERSONAL_NUMBER,
        phonenumbers.PhoneNumberType.UAN,
        phonenumbers.PhoneNumberType.PAGER,
        phonenumbers.PhoneNumberType.VOICEMAIL,
    )
)
# The region that libphonenumber gives to satellites and international services (+800, +870, +881, +979, …).
_NO_COUNTRY: Final = "001"
# Gmail passes over periods, and has two names (support.google.com/mail/answer/7436150).
_GMAIL: Final = "gmail.com"
_GMAIL_DOMAINS: Final = frozenset((_GMAIL, "googlemail.com"))
_CHANNELS: Final[dict[ContactKind, Channel]] = {"email": "email", "phone": "sms", "user": "push"}


class Contact(msgspec.Struct, frozen=True):
    """A way to reach somebody; `address` is normalised: a lower-case e-mail address or an E.164 number.

    A `user` contact is the name in an access token, by which the push service of an app knows its people.
    """

    kind: ContactKind
    address: str

    @property
    def channel(self) -> Channel:
        """The way a message reaches its recipient."""
        return _CHANNELS[self.kind]

    @property
    def mailbox(self) -> Contact:
        """Where messages to the contact come together, which people are counted by; never written to.

        Most providers deliver `ann+shop@` to `ann@` (RFC 5233 calls the rest the detail).
        """
        if self.kind != "email":
            return self
        local, _, domain = self.address.rpartition("@")
        name = local.partition("+")[0] or local
        if domain in _GMAIL_DOMAINS:
            name, domain = name.replace(".", ""), _GMAIL
        return Contact("email", f"{name}@{domain}")

    def digests(self, keyring: Keyring) -> list[bytes]:
        """Returns the keyed hashes the contact may be kept under, the current one first."""
        return recipient_digests(keyring, self.channel, self.address)

    def person_digests(self, keyring: Keyring) -> list[bytes]:
        """Returns those of the mailbox, the current one first, and then those of the contact itself."""
        return list(dict.fromkeys([*self.mailbox.digests(keyring), *self.digests(keyring)]))


def contact_of(email: str | None, phone: str | None, *, fictional: bool) -> Contact:
    """Returns the one contact that was typed; `fictional` takes the domain `.test` (RFC 6761).

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


def contact_in(text: str, *, fictional: bool) -> Contact:
    """Returns the address somebody typed: with an @ it is an e-mail address, else a phone number.

    Raises:
        InvalidInput: it is neither.
    """
    if "@" in typed.seen(text):
        return contact_of(text, None, fictional=fictional)
    return contact_of(None, text, fictional=fictional)


def _normal_email(text: str, *, fictional: bool) -> str:
    if len(text) > EMAIL_LENGTH_MAX:
        raise InvalidInput.of("email", f"is longer than {EMAIL_LENGTH_MAX} characters")
    try:
        checked = validate_email(typed.seen(text), check_deliverability=False, test_environment=fictional)
    except EmailNotValidError as error:
        raise InvalidInput.of("email", f"is not an e-mail address: {error}") from error
    if "." not in checked.domain:
        raise InvalidInput.of("email", "is not an e-mail address: its domain has no period")
    # Mail servers may tell cases apart in the local part (RFC 5321 section 2.4). Hardly any does, and nobody
    # types their address the same way each time.
    return checked.normalized.lower()


def _normal_phone(text: str) -> str:
    if len(text) > PHONE_LENGTH_MAX:
        raise InvalidInput.of("phone", f"is longer than {PHONE_LENGTH_MAX} characters")
    not_a_number = InvalidInput.of(
        "phone", "is not a phone number with its country code, such as +33123456789"
    )
    # The parser would find a number in any text, and read letters as the keys they share.
    plain = typed.number(text)
    if _PHONE.fullmatch(plain) is None:
        raise not_a_number
    try:
        number = phonenumbers.parse(plain, None)
    except phonenumbers.NumberParseException as error:
        raise not_a_number from error
    if not phonenumbers.is_possible_number(number):
        raise InvalidInput.of("phone", "is not a phone number: it has too few or too many digits")
    region = phonenumbers.region_code_for_country_code(number.country_code or 0)
    if region == _NO_COUNTRY or phonenumbers.number_type(number) in _REFUSED_TYPES:
        raise InvalidInput.of("phone", "is not a number of a person's phone, so no text is sent to it")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

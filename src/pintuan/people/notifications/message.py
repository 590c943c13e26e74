"""The content of a message, and how it is found again without keeping the address readable."""

from __future__ import annotations

import msgspec

from pintuan.base.locales import Language
from pintuan.people.contacts.channels import Channel


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message; `to` is an e-mail address, an E.164 number or, for `push`, whom an access token names.

    `subject` is for e-mail and pushes. A push has its link in `url`, the others in the text. `instead` is for
    whom a push service does not know. `id` and `kind` are set when the message leaves; the id is the same at
    every attempt. `code` repeats a sign-in code that is in the text, for the outbox of a developer.
    `language` is that of the text. `unsubscribe_url` takes a POST by which the recipient gets no more of the
    kind (RFC 8058); mail programs show a button for it.
    """

    channel: Channel
    to: str
    subject: str
    text: str
    code: str | None = None
    unsubscribe_url: str | None = None
    url: str | None = None
    language: Language | None = None
    kind: str = ""
    id: str = ""
    instead: Message | None = None

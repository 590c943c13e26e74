"""The channels of messages: SMTP, an SMS provider's webhook, an app's push service, or the log.

DeliveryFailed(reason, permanent)   the other side did not take the message; the reason names nobody
  UnknownRecipient(reason)          a push service does not know the person
"""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import UTC, datetime
from email.errors import MessageError
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib
import httpx
import msgspec
import structlog

from pintuan.base.outgoing.sending import Sender, SendFailed
from pintuan.base.outgoing.signing import signed_headers
from pintuan.people.notifications.mail import mail_of
from pintuan.people.notifications.schemas import Push, PushMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pintuan.base.outgoing.addresses import Resolver
    from pintuan.base.settings.settings import Settings
    from pintuan.people.contacts.channels import Channel
    from pintuan.people.notifications.message import Message

# Shorter than a stopping worker waits for its jobs.
DELIVERY_TIMEOUT_S: Final = 6.0
_SUBMISSION_PORT: Final = 587
_IMPLICIT_TLS_PORT: Final = 465
# RFC 5321 section 4.2.1: 5yz replies are final, 4yz may be different later.
_SMTP_PERMANENT: Final = range(500, 600)
_HTTP_TAKEN: Final = range(200, 300)
_HTTP_CLIENT_ERRORS: Final = range(400, 500)
_PUSH_UNKNOWN: Final = frozenset({404, 410})
# Answers that concern the provider rather than the message.
_HTTP_PASSING: Final = frozenset({401, 403, 404, 408, 425, 429})

_logger = structlog.get_logger("pintuan.people.notifications")


class DeliveryFailed(Exception):
    """A message was not taken; `permanent` says that trying again is of no use."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


class UnknownRecipient(DeliveryFailed):
    """A push service does not know the person, or reaches no device of theirs."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, permanent=True)


class Notifier(Protocol):
    """One channel by which messages leave."""

    async def deliver(self, message: Message) -> None:
        """Returns once the other side has taken the message, within `DELIVERY_TIMEOUT_S`.

        Raises:
            DeliveryFailed: it did not, or gave no answer in time, in which case it may have.
        """
        ...


class LogNotifier:
    """Shows messages to a developer; nothing leaves the machine."""

    async def deliver(self, message: Message) -> None:
        """Writes the message into the log."""
        shown = {"channel": message.channel, "to": message.to, "text": message.text}
        if message.code is not None:
            shown["code"] = message.code
        _logger.info("notification", **shown)


class SmtpNotifier:
    """Hands e-mail to the server of `PINTUAN_SMTP_URL`.

    `smtps://` is TLS from the first byte. `smtp://` uses STARTTLS if the server offers it. It insists on it
    if the URL has a password, which must not cross a network in the clear.
    """

    def __init__(self, url: str, sender: str, *, now_s: Callable[[], float] = time.time) -> None:
        parts = urlsplit(url)
        self._sender = sender
        self._now_s = now_s
        # One for all mails: made anew it takes 40 ms of the event loop, from all certificates of the system.
        self._tls = ssl.create_default_context()
        self._host = parts.hostname or "localhost"
        self._implicit_tls = parts.scheme == "smtps"
        self._port = parts.port or (_IMPLICIT_TLS_PORT if self._implicit_tls else _SUBMISSION_PORT)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    async def deliver(self, message: Message) -> None:
        """Sends one e-mail over a connection of its own; see `Notifier`."""
        start_tls = False if self._implicit_tls else (True if self._password else None)
        try:
            async with asyncio.timeout(DELIVERY_TIMEOUT_S):
                await aiosmtplib.send(
                    mail_of(message, self._sender, now_s=self._now_s()),
                    hostname=self._host,
                    port=self._port,
                    username=self._user,
                    password=self._password,
                    use_tls=self._implicit_tls,
                    start_tls=start_tls,
                    tls_context=self._tls,
                    timeout=DELIVERY_TIMEOUT_S,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            permanent = all(refused.code in _SMTP_PERMANENT for refused in error.recipients)
            raise DeliveryFailed("recipient refused", permanent=permanent) from None
        except aiosmtplib.SMTPAuthenticationError as error:
            # An operator mends this; the message is not to blame.
            raise DeliveryFailed(f"SMTP {error.code} at sign-in") from None
        except aiosmtplib.SMTPResponseException as error:
            # Without the server's text, which may repeat the address.
            raise DeliveryFailed(f"SMTP {error.code}", permanent=error.code in _SMTP_PERMANENT) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise DeliveryFailed(type(error).__name__) from None
        except (MessageError, ValueError) as error:
            raise DeliveryFailed(
                f"no e-mail can be made of it: {type(error).__name__}", permanent=True
            ) from None


class WebhookNotifier:
    """Hands texts to a provider, by POST of `{"to", "text"}`; any 2xx answer means taken."""

    def __init__(self, url: str) -> None:
        self._url = url
        # One client for all texts, as for mails.
        self._tls = httpx.create_ssl_context()

    async def deliver(self, message: Message) -> None:
        """Posts one text; see `Notifier`."""
        try:
            async with (
                asyncio.timeout(DELIVERY_TIMEOUT_S),
                httpx.AsyncClient(timeout=DELIVERY_TIMEOUT_S, verify=self._tls) as client,
            ):
                response = await client.post(
                    self._url,
                    json={"to": message.to, "text": message.text},
                    headers={"idempotency-key": message.id} if message.id else None,
                )
        except (httpx.HTTPError, OSError) as error:
            raise DeliveryFailed(type(error).__name__) from None
        if not response.is_success:
            permanent = response.is_client_error and response.status_code not in _HTTP_PASSING
            raise DeliveryFailed(f"HTTP {response.status_code}", permanent=permanent)


class PushNotifier:
    """Hands messages to the push service of an app, signed and sent as merchants' webhooks are.

    The message's id is the `webhook-id`: a service that has seen it shows it no second time. Its answer for
    somebody it does not know is 404 or 410.
    """

    def __init__(self, url: str, secret: str, sender: Sender, *, now_s: Callable[[], float]) -> None:
        self._url = url
        self._secret = secret
        self._sender = sender
        self._now_s = now_s

    async def deliver(self, message: Message) -> None:
        """Posts one message; see `Notifier`.

        Raises:
            UnknownRecipient: the service does not know the person.
        """
        now_s = self._now_s()
        body = msgspec.json.encode(push_of(message, datetime.fromtimestamp(now_s, UTC)))
        headers = signed_headers([self._secret], message.id, body, now_s=int(now_s))
        try:
            async with asyncio.timeout(DELIVERY_TIMEOUT_S):
                status = await self._sender.post(self._url, headers, body)
        except TimeoutError:
            raise DeliveryFailed("no answer in time") from None
        except SendFailed as failed:
            raise DeliveryFailed(failed.reason) from None
        if status in _PUSH_UNKNOWN:
            raise UnknownRecipient(f"HTTP {status}")
        if status not in _HTTP_TAKEN:
            permanent = status in _HTTP_CLIENT_ERRORS and status not in _HTTP_PASSING
            raise DeliveryFailed(f"HTTP {status}", permanent=permanent)


def push_of(message: Message, moment: datetime) -> PushMessage:
    """Returns what a push service is sent."""
    return PushMessage(
        type=f"message.{message.kind}",
        timestamp=moment,
        data=Push(
            user=message.to,
            title=message.subject,
            text=message.text,
            url=message.url,
            unsubscribe_url=message.unsubscribe_url,
        ),
    )


def channels_of(settings: Settings) -> frozenset[Channel]:
    """Returns the channels that are set up; in development the log takes what e-mail and texts would."""
    is_dev = settings.env == "dev"
    found: dict[Channel, bool] = {
        "email": is_dev or settings.smtp_url is not None,
        "sms": is_dev or settings.sms_webhook_url is not None,
        "push": settings.push_webhook_url is not None,
    }
    return frozenset(channel for channel, is_there in found.items() if is_there)


def notifiers_of(
    settings: Settings, resolver: Resolver, *, now_s: Callable[[], float]
) -> Mapping[Channel, Notifier]:
    """Returns what delivers by each channel of `channels_of`; `now_s` is the server's real time."""
    notifiers: dict[Channel, Notifier] = {}
    if settings.env == "dev":
        notifiers = {"email": LogNotifier(), "sms": LogNotifier()}
    if settings.smtp_url is not None and settings.mail_from is not None:
        notifiers["email"] = SmtpNotifier(settings.smtp_url, settings.mail_from, now_s=now_s)
    if settings.sms_webhook_url is not None:
        notifiers["sms"] = WebhookNotifier(settings.sms_webhook_url)
    if settings.push_webhook_url is not None and settings.push_webhook_secret is not None:
        sender = Sender(resolver, allows_loopback=settings.env == "dev")
        notifiers["push"] = PushNotifier(
            settings.push_webhook_url, settings.push_webhook_secret, sender, now_s=now_s
        )
    return notifiers

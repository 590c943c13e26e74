"""Which channels there are follows from the settings alone."""

from __future__ import annotations

import time

import pytest

from pintuan.base.outgoing.addresses import SystemResolver
from pintuan.base.settings.settings import SettingsError, load_settings
from pintuan.people.notifications import channels
from pintuan.people.notifications.channels import (
    LogNotifier,
    PushNotifier,
    SmtpNotifier,
    WebhookNotifier,
    notifiers_of,
)

PRODUCTION = {
    "PINTUAN_ENV": "production",
    "PINTUAN_SECRET_KEY": "s" * 40,
    "PINTUAN_PAYMENT_GATEWAY": "sandbox",
    "PINTUAN_PUBLIC_URL": "https://shop.example",
    "PINTUAN_EMBEDDED_STORES": "on",
}
MAIL = {"PINTUAN_SMTP_URL": "smtp://mail.example", "PINTUAN_MAIL_FROM": "Tea House <hello@shop.example>"}
TEXTS = {"PINTUAN_SMS_WEBHOOK_URL": "https://sms.example/send?key=secret"}

# Fixed, because the names of parametrized tests contain it and must be the same in each process.
SECRET = "whsec_" + "c2lnbmluZyBrZXkg" * 2
PUSH = {"PINTUAN_PUSH_WEBHOOK_URL": "https://push.example", "PINTUAN_PUSH_WEBHOOK_SECRET": SECRET}


def channels_of(environ: dict[str, str]) -> dict[str, type]:
    settings = load_settings(environ)
    notifiers = notifiers_of(settings, SystemResolver(), now_s=time.time)
    assert set(notifiers) == channels.channels_of(settings)
    return {channel: type(notifier) for channel, notifier in notifiers.items()}


def test_development_writes_into_the_log_what_no_channel_takes() -> None:
    assert channels_of({}) == {"email": LogNotifier, "sms": LogNotifier}
    assert channels_of(MAIL) == {"email": SmtpNotifier, "sms": LogNotifier}
    assert channels_of(TEXTS) == {"email": LogNotifier, "sms": WebhookNotifier}


def test_production_has_the_channels_that_are_set_up() -> None:
    assert channels_of(PRODUCTION) == {}
    assert channels_of(PRODUCTION | MAIL | TEXTS) == {"email": SmtpNotifier, "sms": WebhookNotifier}
    assert channels_of(PRODUCTION | PUSH) == {"push": PushNotifier}


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"PINTUAN_SMTP_URL": "smtp://mail.example"}, "PINTUAN_MAIL_FROM"),
        (MAIL | {"PINTUAN_MAIL_FROM": "nobody"}, "PINTUAN_MAIL_FROM"),
        (MAIL | {"PINTUAN_MAIL_FROM": "a@b.example\nBcc: c@d.example"}, "PINTUAN_MAIL_FROM"),
        (MAIL | {"PINTUAN_SMTP_URL": "mail.example"}, "PINTUAN_SMTP_URL"),
        (MAIL | {"PINTUAN_SMTP_URL": "https://mail.example"}, "PINTUAN_SMTP_URL"),
        ({"PINTUAN_SMS_WEBHOOK_URL": "sms.example"}, "PINTUAN_SMS_WEBHOOK_URL"),
        ({"PINTUAN_PUSH_WEBHOOK_URL": "https://push.example"}, "PINTUAN_PUSH_WEBHOOK_SECRET"),
        (PUSH | {"PINTUAN_PUSH_WEBHOOK_SECRET": "whsec_c2hvcnQ="}, "PINTUAN_PUSH_WEBHOOK_SECRET"),
        (PUSH | {"PINTUAN_PUSH_WEBHOOK_SECRET": "whsec_" + "é" * 44}, "PINTUAN_PUSH_WEBHOOK_SECRET"),
        (
            PUSH | {"PINTUAN_PUSH_WEBHOOK_SECRET": SECRET.removeprefix("whsec_")},
            "PINTUAN_PUSH_WEBHOOK_SECRET",
        ),
        (PUSH | {"PINTUAN_PUSH_WEBHOOK_URL": "https://me:secret@push.example"}, "PINTUAN_PUSH_WEBHOOK_URL"),
        (PRODUCTION | PUSH | {"PINTUAN_PUSH_WEBHOOK_URL": "http://push.example"}, "PINTUAN_PUSH_WEBHOOK_URL"),
    ],
    ids=str,
)
def test_a_channel_that_cannot_be_used_is_named(environ: dict[str, str], variable: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(environ)
    assert refused.value.variable == variable


def test_no_secret_of_a_channel_is_shown() -> None:
    environ = MAIL | TEXTS | {"PINTUAN_SMTP_URL": "smtp://tea:secret@mail.example"}
    assert "secret@" not in repr(load_settings(environ))
    assert "key=secret" not in repr(load_settings(environ))
    assert SECRET not in repr(load_settings(PUSH))

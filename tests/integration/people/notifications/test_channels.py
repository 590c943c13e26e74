"""Messages reach real servers, and what those say decides whether another attempt is of use."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pintuan.people.notifications import channels
from pintuan.people.notifications.channels import DeliveryFailed, LogNotifier, SmtpNotifier, WebhookNotifier
from pintuan.people.notifications.message import Message
from tests.mailbox import HOST, certified, mail_server, text_provider
from tests.marketplace import free_port

pytestmark = pytest.mark.anyio

SENDER = "Tea House <hello@shop.example>"
TEXT = "493027 is your sign-in code – for Ann. ¡Hola!"
MAIL = Message(channel="email", to="ann@example.com", subject="Your code", text=TEXT)
SMS = Message(channel="sms", to="+12025550123", subject="Your code", text=TEXT)


async def test_mail_arrives_as_it_was_written() -> None:
    async with mail_server() as server:
        await SmtpNotifier(f"smtp://{HOST}:{server.port}", SENDER).deliver(MAIL)

    (mail,) = server.mails
    assert server.recipients == ["ann@example.com"]
    assert (mail["From"], mail["To"], mail["Subject"]) == (SENDER, "ann@example.com", "Your code")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().strip() == TEXT  # type: ignore[attr-defined]  # The policy makes it an EmailMessage.
    assert server.encrypted == [False]


async def test_a_mail_that_is_sent_again_is_the_same_mail() -> None:
    message = msgspec.structs.replace(MAIL, id="ntf_1")
    async with mail_server() as server:
        for _ in range(2):
            await SmtpNotifier(f"smtp://{HOST}:{server.port}", SENDER).deliver(message)
    assert [mail["Message-ID"] for mail in server.mails] == ["<ntf_1@shop.example>"] * 2


async def test_a_long_link_to_unsubscribe_stays_a_link() -> None:
    url = "https://shop.example/v1/unsubscribe/" + "k_9-" * 60
    message = msgspec.structs.replace(MAIL, unsubscribe_url=url)
    async with mail_server() as server:
        await SmtpNotifier(f"smtp://{HOST}:{server.port}", SENDER).deliver(message)

    (raw,) = server.contents
    assert (
        f"\r\nList-Unsubscribe: <{url}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n".encode()
        in raw
    )


async def test_a_domain_in_any_script_is_written_as_dns_knows_it() -> None:
    async with mail_server() as server:
        message = msgspec.structs.replace(MAIL, to="ann@bücher.example.com")
        await SmtpNotifier(f"smtp://{HOST}:{server.port}", SENDER).deliver(message)
    assert server.recipients == ["ann@xn--bcher-kva.example.com"]


async def test_what_is_no_address_is_given_up() -> None:
    with pytest.raises(DeliveryFailed) as failed:
        await SmtpNotifier(f"smtp://{HOST}:1", SENDER).deliver(
            msgspec.structs.replace(MAIL, to="ann\r\nBcc: bob")
        )
    assert failed.value.permanent


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_password_travels_encrypted(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, certificate = certified(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with mail_server(tls=tls, implicit=scheme == "smtps", signs_in=True) as server:
        url = f"{scheme}://tea:p%40ss@{HOST}:{server.port}"
        await SmtpNotifier(url, SENDER).deliver(MAIL)

    assert (server.passwords, server.encrypted, len(server.mails)) == ([b"p@ss"], [True], 1)


async def test_mails_and_texts_share_one_tls_context_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    new = ssl.SSLContext.__new__

    def counted(cls: type[ssl.SSLContext], *arguments: Any, **options: Any) -> ssl.SSLContext:
        made.append(cls)
        return new(cls, *arguments, **options)

    tls, certificate = certified(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with mail_server(tls=tls) as server, text_provider() as provider:
        monkeypatch.setattr(ssl.SSLContext, "__new__", counted)
        mails, texts = SmtpNotifier(f"smtp://{HOST}:{server.port}", SENDER), WebhookNotifier(provider.url)
        for _ in range(3):
            await mails.deliver(MAIL)
            await texts.deliver(SMS)
    assert (server.encrypted, len(provider.texts)) == ([True] * 3, 3)
    assert len(made) == 2


async def test_a_password_is_not_told_to_a_server_without_encryption() -> None:
    async with mail_server(signs_in=True) as server:
        with pytest.raises(DeliveryFailed) as failed:
            await SmtpNotifier(f"smtp://tea:pass@{HOST}:{server.port}", SENDER).deliver(MAIL)
    assert (server.passwords, server.mails, failed.value.permanent) == ([], [], False)


async def test_a_server_nobody_vouches_for_gets_no_mail(tmp_path: Path) -> None:
    tls, _ = certified(tmp_path)
    async with mail_server(tls=tls) as server:
        with pytest.raises(DeliveryFailed):
            await SmtpNotifier(f"smtp://{HOST}:{server.port}", SENDER).deliver(MAIL)
    assert server.mails == []


@pytest.mark.parametrize(
    ("reply", "permanent"), [("451 busy, ann@example.com", False), ("554 spam from ann@example.com", True)]
)
async def test_a_refused_mail_is_given_up_when_the_server_says_so(reply: str, permanent: bool) -> None:
    async with mail_server() as server:
        server.answers.append(reply)
        with pytest.raises(DeliveryFailed) as failed:
            await SmtpNotifier(f"smtp://{HOST}:{server.port}", SENDER).deliver(MAIL)
    assert failed.value.permanent is permanent
    # Reasons are logged, so they name nobody.
    assert "ann" not in failed.value.reason


@pytest.mark.parametrize(("reply", "permanent"), [("450 greylisted", False), ("550 no such user", True)])
async def test_a_refused_recipient_is_given_up_when_the_server_says_so(reply: str, permanent: bool) -> None:
    async with mail_server() as server:
        server.refused_recipients[MAIL.to] = reply
        with pytest.raises(DeliveryFailed) as failed:
            await SmtpNotifier(f"smtp://{HOST}:{server.port}", SENDER).deliver(MAIL)
    assert failed.value.permanent is permanent


async def test_a_text_arrives_as_it_was_written() -> None:
    async with text_provider() as provider:
        await WebhookNotifier(provider.url).deliver(SMS)
    assert provider.texts == [{"to": "+12025550123", "text": TEXT}]


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(500, False), (503, False), (429, False), (401, False), (400, True), (302, False)],
)
async def test_a_refused_text_is_given_up_when_the_provider_says_so(status: int, permanent: bool) -> None:
    async with text_provider() as provider:
        provider.statuses.append(status)
        with pytest.raises(DeliveryFailed) as failed:
            await WebhookNotifier(provider.url).deliver(SMS)
    assert (failed.value.permanent, failed.value.reason) == (permanent, f"HTTP {status}")


async def test_nobody_there_and_no_answer_are_worth_another_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr(channels, "DELIVERY_TIMEOUT_S", 0.2)
    async with text_provider() as provider, mail_server() as server:
        provider.silent = server.hung = True
        for notifier, message in (
            (SmtpNotifier(f"smtp://{HOST}:{port}", SENDER), MAIL),
            (SmtpNotifier(f"smtp://{HOST}:{server.port}", SENDER), MAIL),
            (WebhookNotifier(f"http://{HOST}:{port}"), SMS),
            (WebhookNotifier(provider.url), SMS),
        ):
            with pytest.raises(DeliveryFailed) as failed:
                await notifier.deliver(message)
            assert failed.value.permanent is False


async def test_a_developer_reads_messages_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    await LogNotifier().deliver(
        Message(channel="email", to="ann@example.com", subject="Your code", text=TEXT, code="493027")
    )
    written = capsys.readouterr()
    assert all(word in written.out + written.err for word in ("notification", "ann@example.com", "493027"))

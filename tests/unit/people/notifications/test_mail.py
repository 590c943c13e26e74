"""A mail has the form that servers and filters ask for, and a reader sees what was meant."""

from __future__ import annotations

import base64
import quopri
import re
from contextlib import suppress
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import SMTP, default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pintuan.base.locales import LANGUAGES, Language
from pintuan.people.contacts.contacts import Contact
from pintuan.people.notifications.letter import TITLE_CHARS_MAX, is_one_line
from pintuan.people.notifications.mail import mail_of
from pintuan.people.notifications.message import Message
from pintuan.people.notifications.titles import title_shown
from tests.letters import invitation

AUTHOR = "Tea House <hello@shop.example>"
NOW_S = datetime(2030, 1, 1, 12, tzinfo=UTC).timestamp()
TITLES = [
    "Bộ ấm trà gốm tráng men xanh, sáu chén kèm khay gỗ",
    "Théière émaillée à bec étroit, réglée à 80 °C",
    "유약을 바른 찻주전자와 찻잔 여섯 개, 나무 쟁반",
    "Чайник керамічний із ситечком, 1,2 л",
    "إبريق شاي خزفي 1.2 لتر",
    "กาน้ำชาเซรามิก 1.2 ลิตร",
    "茶壶 🫖 景德镇手工青花瓷",
    "=?utf-8?q?nothing?= is hidden",
    "a  title   of many    blanks" * 4,
    "x" * 150,
]
lines = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=TITLE_CHARS_MAX
)


def written(subject: str, *, author: str = AUTHOR, text: str = "Tea", language: Language = "en") -> bytes:
    message = Message(
        channel="email",
        to="ann@example.com",
        subject=subject,
        text=text,
        language=language,
        id="ntf_1",
        unsubscribe_url="https://shop.example/v1/unsubscribe/abc",
    )
    return mail_of(message, author, now_s=NOW_S).as_bytes(policy=SMTP)


def head_of(mail: bytes) -> dict[str, str]:
    """The header, unfolded (RFC 5322 section 2.2.3) and not decoded."""
    head = mail.partition(b"\r\n\r\n")[0].decode("ascii")
    pairs = [line.partition(": ") for line in re.sub(r"\r\n(?=[ \t])", "", head).split("\r\n")]
    fields = {name: value for name, _, value in pairs}
    assert len(fields) == len(pairs), "a field twice"
    return fields


def decoded(value: str) -> str:
    """RFC 2047 by hand: blanks between encoded words are none, and each word is whole by itself."""
    word = r"=\?utf-8\?([bq])\?([^? ]*)\?="
    joined = re.sub(rf"({word})[ \t]+(?={word})", r"\1", value)

    def read(match: re.Match[str]) -> str:
        text = match[2].encode()
        if match[1] == "b":
            return base64.b64decode(text, validate=True).decode()
        return quopri.decodestring(text, header=True).decode()

    return re.sub(word, read, joined)


def test_the_header_has_what_servers_and_filters_ask_for() -> None:
    fields = head_of(written("Your tea", language="fr"))
    assert fields == {
        "Date": "Tue, 01 Jan 2030 12:00:00 +0000",
        "From": AUTHOR,
        "To": "ann@example.com",
        "Subject": "Your tea",
        "Message-ID": "<ntf_1@shop.example>",
        "Auto-Submitted": "auto-generated",
        "Content-Language": "fr",
        "List-Unsubscribe": "<https://shop.example/v1/unsubscribe/abc>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "7bit",
        "MIME-Version": "1.0",
    }


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("title", TITLES)
def test_a_subject_reads_as_it_was_meant_in_every_language(language: Language, title: str) -> None:
    subject = invitation(Contact("email", "ann@example.com"), language, title=title).title
    assert title_shown(title, language) in subject
    mail = written(subject)
    assert decoded(head_of(mail)["Subject"]) == subject
    assert message_from_bytes(mail, policy=default)["Subject"] == subject


@given(lines)
def test_any_line_comes_through_and_no_line_of_the_mail_is_too_long(subject: str) -> None:
    assert is_one_line(subject)
    mail = written(subject)
    assert decoded(head_of(mail)["Subject"]) == subject
    with suppress(UnicodeDecodeError):
        mail.decode("ascii")
    assert max(map(len, mail.split(b"\r\n"))) <= 78


@given(st.text(min_size=1, max_size=600).filter(lambda text: text.isprintable() or "\n" in text))
def test_any_text_comes_through_seven_bits_in_short_lines(text: str) -> None:
    with suppress(UnicodeEncodeError):
        text.encode()
        mail = written("Tea", text=text)
        assert mail.isascii()
        assert max(map(len, mail.split(b"\r\n"))) <= 78
        content = message_from_bytes(mail, policy=default).get_content()
        assert content.splitlines() == text.splitlines()


@pytest.mark.parametrize(
    "name",
    [
        "Tea House",
        "Zoë & Söhne",
        "Trà Việt, cửa hàng gốm sứ và đồ pha trà của gia đình",
        "茶馆",
        'The "Tea", Ltd.',
        "x" * 90,
    ],
)
def test_whom_a_mail_is_from_reads_as_it_was_meant(name: str) -> None:
    quoted = name.replace('"', r"\"")
    mail = written("Tea", author=f'"{quoted}" <hello@shop.example>')
    (author,) = message_from_bytes(mail, policy=default)["From"].addresses
    assert author.addr_spec == "hello@shop.example"
    # Names are decoded by hand alone: the parser of Python 3.11 puts blanks between encoded words of them.
    shown = decoded(head_of(mail)["From"].removesuffix(" <hello@shop.example>"))
    assert (shown[1:-1].replace('\\"', '"') if shown.startswith('"') else shown) == name
    assert max(map(len, mail.split(b"\r\n"))) <= 78


def test_a_domain_beyond_ascii_is_written_as_dns_knows_it() -> None:
    fields = head_of(written("Tea", author="Tee <hello@bücher.example>"))
    assert fields["From"] == "Tee <hello@xn--bcher-kva.example>"
    assert fields["Message-ID"] == "<ntf_1@xn--bcher-kva.example>"

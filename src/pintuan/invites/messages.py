"""What an invitation says, in each language of `pintuan.locales`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pintuan.notifications.message import Message

if TYPE_CHECKING:
    from pintuan.identity.contacts import Contact
    from pintuan.locales import Language

TITLE_CHARS_MAX: Final = 80


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """One language's; braces are filled with `str.format`: {title}, {price}, {url} and {stop_url}."""

    subject: str
    body: str
    stop: str
    """How to get no more of them."""


TEXTS: Final[dict[Language, Texts]] = {
    "en": Texts(
        subject="You are invited: {title}",
        body="A friend invites you to buy {title} together. The price now is {price}, and it falls as "
        "more people join:\n{url}",
        stop="No more invitations: {stop_url}",
    ),
    "zh": Texts(
        subject="邀请你一起拼团：{title}",
        body="朋友邀请你一起购买 {title}。当前价格 {price}，参加的人越多越便宜：\n{url}",
        stop="不再接收邀请：{stop_url}",
    ),
    "ko": Texts(
        subject="공동구매에 초대합니다: {title}",
        body="친구가 {title} 공동구매에 초대했습니다. 현재 가격은 {price}이며, "
        "더 많이 모일수록 내려갑니다:\n{url}",
        stop="초대 그만 받기: {stop_url}",
    ),
    "vi": Texts(
        subject="Bạn được mời mua chung: {title}",
        body="Một người bạn mời bạn mua chung {title}. Giá hiện tại là {price}, càng đông càng rẻ:\n{url}",
        stop="Không nhận lời mời nữa: {stop_url}",
    ),
    "uk": Texts(
        subject="Вас запрошено: {title}",
        body="Ваш друг запрошує вас купити разом: {title}. Ціна зараз {price}, і вона падає, коли "
        "приєднуються інші:\n{url}",
        stop="Більше не надсилати запрошень: {stop_url}",
    ),
    "fr": Texts(
        subject="Vous êtes invité : {title}",
        body="Un ami vous invite à acheter ensemble : {title}. Le prix est de {price} et baisse à mesure "
        "que d’autres se joignent :\n{url}",
        stop="Ne plus recevoir d’invitations : {stop_url}",
    ),
    "es": Texts(
        subject="Te invitan: {title}",
        body="Un amigo te invita a comprar en grupo: {title}. El precio ahora es {price} y baja cuando se "
        "une más gente:\n{url}",
        stop="No recibir más invitaciones: {stop_url}",
    ),
}


def message_of(
    contact: Contact, language: Language, *, title: str, price: str, url: str, stop_url: str
) -> Message:
    """Returns the invitation to a contact; `price` is written as the language does."""
    texts = TEXTS[language]
    # A line break in a title would end the subject's header.
    shown = " ".join(title.split())
    if len(shown) > TITLE_CHARS_MAX:
        shown = shown[: TITLE_CHARS_MAX - 1] + "…"
    body = texts.body.format(title=shown, price=price, url=url)
    return Message(
        channel=contact.channel,
        to=contact.address,
        subject=texts.subject.format(title=shown),
        text=f"{body}\n\n{texts.stop.format(stop_url=stop_url)}",
        unsubscribe_url=stop_url,
    )

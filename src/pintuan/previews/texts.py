"""The words on cards and in descriptions, in each language of `pintuan.locales`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from pintuan.locales import Language


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """One language's; braces are filled with `str.format`."""

    offer: str
    """A line about an open group: {title}, {price}, {list_price}."""
    over: str
    """The same of a group that cannot be joined any more."""
    now: str
    alone: str
    joined: str
    """{headcount} of {max_headcount}."""
    left: str
    """{span} until the deadline."""
    closed: str


TEXTS: Final[dict[Language, Texts]] = {
    "en": Texts(
        offer="{title} for {price} together, instead of {list_price} alone. Join the group!",
        over="{title}: this group has closed.",
        now="Price now",
        alone="{list_price} alone",
        joined="{headcount} of {max_headcount} joined",
        left="{span} left",
        closed="Closed",
    ),
    "zh": Texts(
        offer="{title} 拼团价 {price}，单独购买 {list_price}。快来一起拼团！",
        over="{title}：本团已结束。",
        now="当前价格",
        alone="单买价 {list_price}",
        joined="已有 {headcount} 人，共 {max_headcount} 人",
        left="剩余 {span}",
        closed="已结束",
    ),
    "ko": Texts(
        offer="{title} 함께 사면 {price}, 혼자 사면 {list_price}. 공동구매에 참여하세요!",
        over="{title}: 이 공동구매는 마감되었습니다.",
        now="현재 가격",
        alone="혼자 사면 {list_price}",
        joined="{max_headcount}명 중 {headcount}명 참여",
        left="{span} 남음",
        closed="마감",
    ),
    "vi": Texts(
        offer="{title} mua chung giá {price}, mua lẻ {list_price}. Hãy tham gia nhóm!",
        over="{title}: nhóm này đã đóng.",
        now="Giá hiện tại",
        alone="Mua lẻ {list_price}",
        joined="{headcount}/{max_headcount} người đã tham gia",
        left="Còn {span}",
        closed="Đã đóng",
    ),
    "uk": Texts(
        offer="{title} разом за {price} замість {list_price} наодинці. Приєднуйтеся до групи!",
        over="{title}: цю групу закрито.",
        now="Ціна зараз",
        alone="{list_price} наодинці",
        joined="Приєдналося {headcount} із {max_headcount}",
        left="Залишилося {span}",
        closed="Закрито",
    ),
    "fr": Texts(
        offer="{title} à {price} ensemble, au lieu de {list_price} en solo. Rejoignez le groupe !",
        over="{title} : ce groupe est fermé.",
        now="Prix actuel",
        alone="{list_price} en solo",
        joined="{headcount} sur {max_headcount} inscrits",
        left="Encore {span}",
        closed="Fermé",
    ),
    "es": Texts(
        offer="{title} por {price} en grupo, en lugar de {list_price} por separado. ¡Únete al grupo!",
        over="{title}: este grupo se ha cerrado.",
        now="Precio actual",
        alone="{list_price} por separado",
        joined="{headcount} de {max_headcount} en el grupo",
        left="Quedan {span}",
        closed="Cerrado",
    ),
}

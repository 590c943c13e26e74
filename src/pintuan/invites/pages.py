"""The two pages of unsubscribing. They are small enough to be in several languages at once."""

from __future__ import annotations

from typing import Final

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
PAGE_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-robots-tag": "noindex",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pintuan</title>
<link rel="stylesheet" href="/docs/assets/page.css">
</head>
<body><main>
{content}
</main></body>
</html>
"""
_ASKED: Final = (
    ("en", "Do you want to get no more invitations?"),
    ("zh", "不再接收邀请吗？"),
    ("ko", "초대를 그만 받으시겠습니까?"),
    ("vi", "Bạn không muốn nhận lời mời nữa?"),
    ("uk", "Більше не надсилати вам запрошень?"),
    ("fr", "Ne plus recevoir d’invitations ?"),
    ("es", "¿No quieres recibir más invitaciones?"),
)
_DONE: Final = (
    ("en", "You will get no more invitations."),
    ("zh", "您将不再收到邀请。"),
    ("ko", "더 이상 초대를 받지 않습니다."),
    ("vi", "Bạn sẽ không nhận lời mời nữa."),
    ("uk", "Ви більше не отримуватимете запрошень."),
    ("fr", "Vous ne recevrez plus d’invitations."),
    ("es", "No recibirás más invitaciones."),
)
_BUTTON: Final = (
    '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
    '<button type="submit">OK</button></form>'
)


def _lines(texts: tuple[tuple[str, str], ...]) -> str:
    return "\n".join(f'<p lang="{language}">{text}</p>' for language, text in texts)


ASKING: Final = _PAGE.format(content=f"{_lines(_ASKED)}\n{_BUTTON}")
DONE: Final = _PAGE.format(content=_lines(_DONE))

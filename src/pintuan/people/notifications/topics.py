"""The topics of messages to people, and their rules.

topic          can be stopped   while the recipient sleeps        places of the courier
SIGN_IN_CODE   never            is sent all the same              those of messages that are waited for
INVITATION     as `invite`      waits, and its lifetime runs on   those of its merchant
NUDGE          as `nudge`       is dropped                        those of its merchant
OUTCOME        as `nudge`       waits for the morning             those of its merchant
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

import msgspec

from pintuan.base.locales import translations_for
from pintuan.people.consents.stoppable import Stoppable

if TYPE_CHECKING:
    from pintuan.base.locales import Language


class Night(Enum):
    """The fate of a letter in the quiet hours of its recipient."""

    SENT = auto()
    """It is sent: somebody is awake and waits for it."""
    DROPPED = auto()
    """It is never written: by the morning it would not be true any more."""
    WAITS = auto()
    """It waits, and its lifetime runs on: its subject ends at a moment of its own."""
    POSTPONED = auto()
    """It waits, and its lifetime begins in the morning."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of a topic.

    `kind` names its messages in Postgres, in exports and for push services. `stop` is the kind that a
    recipient can stop by one click; None cannot be stopped. `awaited` says that the recipient asked for it
    and waits.
    """

    kind: str
    night: Night
    stop: Stoppable | None = None
    awaited: bool = False


class Topic(Enum):
    """The topic of a letter."""

    SIGN_IN_CODE = Rules(kind="sign_in_code", night=Night.SENT, awaited=True)
    INVITATION = Rules(kind="invite", night=Night.WAITS, stop="invite")
    NUDGE = Rules(kind="nudge", night=Night.DROPPED, stop="nudge")
    OUTCOME = Rules(kind="nudge", night=Night.POSTPONED, stop="nudge")

    @property
    def rules(self) -> Rules:
        """The rules of the topic."""
        return self.value


def stop_line(stop: Stoppable, url: str, language: Language) -> str:
    """Returns the sentence with the link by which a recipient stops messages of a kind."""
    _ = translations_for(language).gettext
    match stop:
        case "invite":
            return _("No more invitations: %(url)s") % {"url": url}
        case "nudge":
            return _("No more messages about your groups: %(url)s") % {"url": url}

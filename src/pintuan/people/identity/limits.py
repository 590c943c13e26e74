"""The limits of asking for codes and of guessing them."""

from __future__ import annotations

from typing import Final

from pintuan.base.limits import Limit

_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 24 * 60 * _MINUTE_MS
_TOO_MANY_CODES: Final = "Too many codes were sent to this address; use the last one."
# The codes that one client may have sent to one contact.
CODES_PER_CALLER: Final = (
    Limit("codes of caller", 5, 15 * _MINUTE_MS, _TOO_MANY_CODES),
    Limit("codes of caller, daily", 20, _DAY_MS, _TOO_MANY_CODES),
)
# The codes that may be sent to one contact for all clients together from which nobody signed in with it. It
# takes three of them to use that up, and those who signed in before still have their own.
CODES_FOR_STRANGERS: Final = (
    Limit("codes for strangers", 15, 15 * _MINUTE_MS, _TOO_MANY_CODES),
    Limit("codes for strangers, daily", 60, _DAY_MS, _TOO_MANY_CODES),
)
CLIENT_KNOWN_MS: Final = 90 * _DAY_MS
CLIENTS_KNOWN_MAX: Final = 5
CODES_PER_CLIENT: Final = Limit(
    "codes of client", 200, 60 * _MINUTE_MS, "Too many codes were asked for from this network."
)
CODES_PER_WIDE_NETWORK: Final = Limit(
    "codes of wide network", 2_000, 60 * _MINUTE_MS, "Too many codes were asked for from this network."
)
"""The limit of an IPv6 /48, which anybody can get and which has 65,536 of the networks that are counted."""
# A client that asked for a code has five answers to it, so that the codes sent bound the guesses. These are
# the answers of clients that asked for none, all together and each (docs/decisions/0009 counts what it comes
# to).
_TOO_MANY_ANSWERS: Final = "Too many wrong codes were tried for this address."
WRONG_ANSWERS_OF_STRANGERS: Final = (
    Limit("wrong answers of contact", 20, 60 * _MINUTE_MS, _TOO_MANY_ANSWERS),
    Limit("wrong answers of contact, daily", 100, _DAY_MS, _TOO_MANY_ANSWERS),
)
WRONG_ANSWERS_PER_STRANGER: Final = Limit("wrong answers of stranger", 5, 60 * _MINUTE_MS, _TOO_MANY_ANSWERS)
# A spray is many wrong answers over many contacts, in a neighbourhood (an IPv4 /24 or IPv6 /48) or in all.
# Then a code takes few answers there, except where somebody signed in with the contact from there before.
_SPRAY: Final = "Too many wrong codes are being tried; ask for a new one."
WRONG_ANSWERS_PER_NEIGHBOURHOOD: Final = Limit("wrong answers of neighbourhood", 100, 10 * _MINUTE_MS, _SPRAY)
WRONG_ANSWERS_IN_ALL: Final = Limit("wrong answers in all", 1_000, 10 * _MINUTE_MS, _SPRAY)
WRONG_ANSWERS_TOWARDS_ALL: Final = Limit("wrong answers towards all", 5, 10 * _MINUTE_MS, _SPRAY)
"""Those of a neighbourhood that count in all: it takes two hundred of them to put everybody on guard."""
ANSWERS_UNDER_SPRAY_MAX: Final = 2
"""Of the client that asked for a code, and again of all others together to the newest."""

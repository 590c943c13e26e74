"""People sign in and are forgotten, as the calls do that they make."""

from __future__ import annotations

from pintuan.base.auth import Principal
from pintuan.base.process import Resources
from pintuan.people.contacts.contacts import Contact
from pintuan.people.identity import sessions
from pintuan.people.identity.schemas import Tokens
from pintuan.people.identity.turns import Turns
from pintuan.people.personal import service
from pintuan.people.personal.erasures import Eraser


async def sign_in_with(resources: Resources, contact: Contact, code: str) -> Tokens:
    """Begins a session with a code; raises as `sessions.sign_in` does."""
    return await sessions.sign_in(
        resources.pool,
        resources.keyring,
        resources.clock,
        resources.state(Turns),
        contact,
        code,
        client_key="192.0.2.1",
    )


async def erase(resources: Resources, principal: Principal) -> None:
    """Forgets them at once; raises Unauthenticated for somebody who was forgotten before."""
    eraser = Eraser(resources.pool, resources.engine, resources.personal)
    await service.erase(resources.pool, resources.keyring, resources.verifier, eraser, principal)

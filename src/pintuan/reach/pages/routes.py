"""`/g/{share_code}` and its forms. Every form answers with a page again, or sends the browser on to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from groups.errors import GroupsError, TryAgain
from pintuan.base.auth.middleware import PUBLIC_OPTION
from pintuan.base.errors import Forbidden, InvalidInput, NotFound, NotNow, Rejected, Unauthenticated
from pintuan.base.locales import translations_for
from pintuan.buying.orders import service as orders
from pintuan.http.bodies import ApiRequest
from pintuan.http.client_address import limit_key_of
from pintuan.http.parameters import InjectedResources, require_idempotency_key
from pintuan.http.problems import problem_of
from pintuan.people.contacts.contacts import contact_in
from pintuan.people.identity import sessions
from pintuan.people.identity.routes import code_sender_of
from pintuan.people.identity.turns import Turns
from pintuan.reach.links.service import note_opened
from pintuan.reach.pages import service, wording
from pintuan.reach.pages.caller import Caller, caller_of, tongue_of
from pintuan.reach.pages.forms import order_in, read_form
from pintuan.reach.pages.rendering import ASSETS, asset, redirect, render
from pintuan.reach.pages.service import Slip
from pintuan.reach.pages.visitor import check_form, new_visitor, set_cookie

if TYPE_CHECKING:
    from groups.placement import Verb
    from pintuan.base.process import Resources
    from pintuan.people.contacts.contacts import Contact
    from pintuan.reach.pages.view import GroupView
    from pintuan.reach.pages.visitor import Visitor

ASSET_LIFETIME_S: Final = 365 * 24 * 3600


@get("/g/{share_code:str}")
async def show_group(
    share_code: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[str]:
    """Answers the page of the group that a link leads to."""
    caller = await caller_of(request, resources)
    if caller.invite_code is not None:
        await note_opened(resources.pool, share_code, caller.invite_code)
    view = await _view(resources, share_code, caller)
    return await _page(resources, caller, view)


@post("/g/{share_code:str}/code")
async def send_code(
    share_code: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[str]:
    """Has a sign-in code sent to the address somebody typed, and asks for it."""
    caller, _visitor, form = await _sent(request, resources)
    typed = form.get("contact", "")
    try:
        contact = contact_in(typed, fictional=resources.settings.env == "dev")
        await code_sender_of(resources).send(
            contact, client_key=limit_key_of(request.scope), language=caller.tongue.language
        )
    except (Rejected, GroupsError) as error:
        return await _again(resources, caller, share_code, error, typed_contact=typed[:_TYPED_LENGTH_MAX])
    cookie = set_cookie(new_visitor(contact=contact.address), resources.keyring, resources.settings)
    return redirect(f"/g/{share_code}{caller.query}#join", cookie=cookie)


@post("/g/{share_code:str}/sign-in")
async def sign_in(
    share_code: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[str]:
    """Signs in with a code; the browser gets a new cookie, whose session no script can read."""
    caller, visitor, form = await _sent(request, resources)
    try:
        tokens = await sessions.sign_in(
            resources.pool,
            resources.keyring,
            resources.clock,
            resources.state(Turns),
            _contact_of(visitor, resources),
            form.get("code", ""),
            client_key=limit_key_of(request.scope),
            language=caller.tongue.language,
        )
    except (Rejected, GroupsError) as error:
        return await _again(resources, caller, share_code, error)
    cookie = set_cookie(new_visitor(session=tokens.refresh_token), resources.keyring, resources.settings)
    return redirect(f"/g/{share_code}{caller.query}#join", cookie=cookie)


@post("/g/{share_code:str}/sign-out")
async def sign_out(
    share_code: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[str]:
    """Ends the browser's session."""
    caller, visitor, _ = await _sent(request, resources)
    if visitor.session is not None:
        await sessions.revoke(resources.pool, visitor.session)
    return redirect(
        f"/g/{share_code}{caller.query}",
        cookie=set_cookie(new_visitor(), resources.keyring, resources.settings),
    )


@post("/g/{share_code:str}/join")
async def join(share_code: FromPath[str], request: ApiRequest, resources: InjectedResources) -> Response[str]:
    """Places the buyer into this group, for at most the price that the form showed."""
    return await _place(resources, request, share_code, verb="group")


@post("/g/{share_code:str}/open")
async def open_another(
    share_code: FromPath[str], request: ApiRequest, resources: InjectedResources
) -> Response[str]:
    """Opens another group of the same deal, with the buyer as its leader."""
    return await _place(resources, request, share_code, verb="open")


@get("/pages/assets/{name:str}", sync_to_thread=False)
def read_page_asset(name: FromPath[str]) -> Response[bytes]:
    """Answers a style sheet or script of the pages; its address changes with its content."""
    if name not in ASSETS:
        raise NotFound("file")
    headers = {"cache-control": f"public, max-age={ASSET_LIFETIME_S}, immutable"}
    return Response(asset(name), media_type=ASSETS[name], headers=headers)


async def _place(resources: Resources, request: ApiRequest, share_code: str, *, verb: Verb) -> Response[str]:
    caller, _, form = await _sent(request, resources)
    if caller.principal is None:
        return redirect(f"/g/{share_code}{caller.query}#join")
    view = await _view(resources, share_code, caller)
    try:
        if caller.principal.role != "buyer":
            raise Forbidden("Only buyers can join a group.")
        if verb == "group" and view.promise.amount > _shown_price(form):
            notice = caller.translations.gettext("The price has changed meanwhile. Please look at it again.")
            return await _page(resources, caller, view, Slip(notice), status=_CONFLICT)
        if form.get("offered", "") != view.offered:
            notice = caller.translations.gettext("The offer has changed meanwhile. Please look at it again.")
            return await _page(resources, caller, view, Slip(notice), status=_CONFLICT)
        placement = orders.placement_of(
            caller.principal.subject,
            order_in(form, caller.invite_code),
            resources.gateway_rules,
            verb=verb,
            request_id=orders.hash_request(
                caller.principal.subject,
                request.method,
                request.scope["path"],
                require_idempotency_key(form.get("key")),
            ),
            deal_id=view.deal.id if verb == "open" else "",
            group_id=view.group.id if verb == "group" else None,
        )
        order, _replayed = await orders.place(
            resources.pool, resources.engine, placement, share_base=resources.settings.share_base
        )
    except (Rejected, GroupsError) as error:
        # Nothing was decided, or nobody knows: the same key finds out.
        key = form.get("key") if isinstance(error, NotNow | TryAgain) else None
        return await _again(resources, caller, share_code, error, key=key)
    joined = order.group.share_code if order.group is not None else share_code
    return redirect(f"/g/{joined}{caller.query}#order")


async def _sent(request: ApiRequest, resources: Resources) -> tuple[Caller, Visitor, dict[str, str]]:
    """The sender of a form, and its fields; raises Forbidden if it is not the sender's own."""
    form = await read_form(request)
    caller = await caller_of(request, resources)
    visitor = check_form(request, resources.keyring, caller.visitor, form.get("form", ""))
    return caller, visitor, form


async def _view(resources: Resources, share_code: str, caller: Caller) -> GroupView:
    return await service.read_view(
        resources.pool, share_code, caller.principal, share_base=resources.settings.share_base
    )


async def _page(
    resources: Resources,
    caller: Caller,
    view: GroupView,
    slip: Slip | None = None,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response[str]:
    context, visitor = await service.page_context(
        resources.pool, resources.engine, resources.keyring, resources.settings, caller, view, slip
    )
    cookie = None if visitor is caller.visitor else set_cookie(visitor, resources.keyring, resources.settings)
    return render(
        "group.html",
        caller.tongue,
        context,
        status=status,
        picture=view.picture,
        headers=headers,
        cookie=cookie,
    )


async def _again(
    resources: Resources,
    caller: Caller,
    share_code: str,
    error: Exception,
    *,
    typed_contact: str = "",
    key: str | None = None,
) -> Response[str]:
    """The page once more, with what is wrong with the form; it shows the group as it is by now."""
    problem, headers = problem_of(error)
    field = error.errors[0].field if isinstance(error, InvalidInput) else None
    notice = wording.refusal_text(caller.translations, problem.code, field)
    view = await _view(resources, share_code, caller)
    slip = Slip(notice, typed_contact, key)
    return await _page(resources, caller, view, slip, status=problem.status, headers=headers)


def handle_page_exception(request: Request[Any, Any, Any], exc: Exception) -> Response[str]:
    """Answers what ends a page early with a page, in the reader's language."""
    problem, headers = problem_of(exc)
    tongue = tongue_of(request)
    translations = translations_for(tongue.language)
    code = request.path_params.get("share_code", "")
    is_form = request.method == "POST" and problem.code != "not_found"
    context = {
        "title": wording.problem_title(translations, problem.code),
        "text": wording.refusal_text(translations, problem.code),
        "again": f"/g/{code}" if is_form else None,
    }
    return render("problem.html", tongue, context, status=problem.status, headers=headers)


def _contact_of(visitor: Visitor, resources: Resources) -> Contact:
    if visitor.contact is None:
        raise Unauthenticated("No code was sent to this browser.")
    return contact_in(visitor.contact, fictional=resources.settings.env == "dev")


def _shown_price(form: dict[str, str]) -> int:
    """The promise that the form showed, in minor units."""
    shown = form.get("shown", "")
    if not shown.isdecimal() or len(shown) > _AMOUNT_DIGITS_MAX:
        raise InvalidInput.of("shown", "is not an amount")
    return int(shown)


_CONFLICT: Final = 409
_AMOUNT_DIGITS_MAX: Final = 15
_TYPED_LENGTH_MAX: Final = 320

HANDLERS: Final = [
    Router(
        "/",
        route_handlers=[show_group, send_code, sign_in, sign_out, join, open_another, read_page_asset],
        include_in_schema=False,
        opt={PUBLIC_OPTION: True},
        exception_handlers={Exception: handle_page_exception},
    )
]

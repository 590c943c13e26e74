"""Which settings do not go together, though each by itself is right."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import TYPE_CHECKING, Final, NamedTuple

from groups.cluster_url import names_cluster

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pintuan.base.settings.settings import Settings

ANY_PROXY: Final = "*"
EVERY_NETWORK: Final = ("0.0.0.0/0", "::/0")
# A network as wide as this is everybody: all of IPv6 that is given out is one /3 (2000::/3).
EVERYBODY_PREFIX: Final = 3


class Disagreement(NamedTuple):
    """A conflict of a field with others; a `needed` one was left out and may not be."""

    field: str
    reason: str
    needed: bool = False


def disagreements(
    settings: Settings, secret_key_length_min: int, *, given: Collection[str]
) -> Iterator[Disagreement]:
    """Yields what is wrong with combinations, which no single value shows; `given` are the fields set."""
    if settings.smtp_url is not None and settings.mail_from is None:
        yield Disagreement(
            "mail_from", "needed beside PINTUAN_SMTP_URL: mail comes from somebody", needed=True
        )
    if settings.push_webhook_url is not None and settings.push_webhook_secret is None:
        reason = "needed beside PINTUAN_PUSH_WEBHOOK_URL: pushes are signed"
        yield Disagreement("push_webhook_secret", reason, needed=True)
    if settings.queue_redis_url is None and names_cluster(settings.redis_url or ""):
        reason = "needed when PINTUAN_REDIS_URL is a cluster: the job queue cannot use one"
        yield Disagreement("queue_redis_url", reason, needed=True)
    if settings.payment_gateway == "stripe":
        for field in ("stripe_secret_key", "stripe_webhook_secret"):
            if getattr(settings, field) is None:
                yield Disagreement(field, "needed when PINTUAN_PAYMENT_GATEWAY is stripe", needed=True)
    if settings.metrics_port == settings.http_port:
        yield Disagreement("metrics_port", "must differ from PINTUAN_HTTP_PORT")
    if settings.env == "production":
        yield from _unfit_for_production(settings, secret_key_length_min)
        yield from _missing_in_production(settings, given)


def trusted_networks(settings: Settings) -> list[IPv4Network | IPv6Network]:
    """Returns the networks that `trusted_proxies` come to, neighbours in one; `*` is all of both kinds."""
    names = [
        name for one in settings.trusted_proxies for name in (EVERY_NETWORK if one == ANY_PROXY else (one,))
    ]
    networks = [ip_network(name) for name in names]
    return [
        *collapse_addresses(one for one in networks if isinstance(one, IPv4Network)),
        *collapse_addresses(one for one in networks if isinstance(one, IPv6Network)),
    ]


def _unfit_for_production(settings: Settings, secret_key_length_min: int) -> Iterator[Disagreement]:
    for field in ("clock_offset_ms", "sim_offset_ms"):
        if getattr(settings, field) != 0:
            yield Disagreement(field, "only dev may shift time; leave it out in production")
    if settings.stripe_api_base is not None:
        yield Disagreement("stripe_api_base", "only dev may send payments elsewhere")
    for field in ("push_webhook_url", "sms_webhook_url"):
        url = getattr(settings, field)
        if url is not None and not url.startswith("https://"):
            yield Disagreement(field, "must begin with https:// in production")
    for place, issuer in enumerate(settings.trusted_issuers, start=1):
        if issuer.is_local:
            reason = f"issuer {place}: jwks_url must start with https:// in production"
            yield Disagreement("trusted_issuers", reason)
    if settings.public_url is not None and not settings.public_url.startswith("https://"):
        reason = "must begin with https:// in production: else browsers keep no session"
        yield Disagreement("public_url", reason)
    if any(network.prefixlen <= EVERYBODY_PREFIX for network in trusted_networks(settings)):
        reason = "only dev may believe everybody; name the addresses or networks of your proxies"
        yield Disagreement("trusted_proxies", reason)
    if not settings.rate_limits:
        yield Disagreement("rate_limits", "only dev may switch rate limits off")
    if settings.secret_key is None:
        yield Disagreement("secret_key", "required in production", needed=True)
    elif len(settings.secret_key) < secret_key_length_min:
        reason = f"must have at least {secret_key_length_min} characters in production"
        yield Disagreement("secret_key", reason, needed=True)


def _missing_in_production(settings: Settings, given: Collection[str]) -> Iterator[Disagreement]:
    """Settings that have a default in dev and must be given in production, where the default
    cannot be meant.
    """
    if "payment_gateway" not in given:
        reason = "required in production: stripe, or sandbox, with which every order counts as paid"
        yield Disagreement("payment_gateway", reason, needed=True)
    if settings.public_url is None:
        reason = "required in production: share links lead to the address shoppers reach"
        yield Disagreement("public_url", reason, needed=True)
    for field in ("database_url", "redis_url"):
        if getattr(settings, field) is None and not settings.embedded_stores:
            reason = "required in production, unless PINTUAN_EMBEDDED_STORES is on"
            yield Disagreement(field, reason, needed=True)

"""Settings that are allowed and hardly ever meant: `pintuan up` says so as it starts, and `pintuan doctor`
too.

Settings that nobody can mean are refused instead (`pintuan.base.settings.combinations`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from pintuan.base.settings.combinations import trusted_networks
from pintuan.base.settings.names import guess
from pintuan.base.settings.settings import PREFIX, SETTINGS, Reading, Settings
from pintuan.http.fair_share.limits import connections_for
from pintuan.running.finding import Finding

LOCAL_NAMES: Final = ("localhost",)
# The widest public networks that services in front of many sites announce for theirs are narrower than these.
PROXY_PREFIX_MIN: Final = {4: 8, 6: 16}


def of_settings(reading: Reading) -> list[Finding]:
    """Says how payments, sign-in and links are set, and which variables set nothing."""
    return [
        payments(reading.settings),
        *_signing_in(reading.settings),
        *_links(reading.settings),
        *_proxies(reading.settings),
        *_unknown(reading),
    ]


def of_host(settings: Settings, host: str) -> list[Finding]:
    """Warns of a development marketplace that listens to more than this machine."""
    if settings.env == "production" or _is_local(host):
        return []
    detail = f"dev listens on {host}: whoever reaches it reads everybody's codes at /dev/outbox"
    return [
        Finding("host", "warn", detail, "set PINTUAN_ENV=production, or leave out --host to listen here only")
    ]


def of_connections(max_connections: int, api_processes: int, workers: int) -> list[Finding]:
    """Warns of a Postgres that lets in fewer connections than the processes of one node may need."""
    needed = connections_for(api_processes=api_processes, workers=workers)
    if max_connections >= needed:
        return []
    detail = f"Postgres lets in {max_connections}, and this node alone may need {needed}"
    remedy = f"set max_connections to {needed} or more, and restart Postgres"
    return [Finding("connections", "warn", detail, remedy)]


def of_node(settings: Settings, *, api_workers: int) -> list[Finding]:
    """Warns of an API in production whose metrics nobody can ask for."""
    if settings.env != "production" or settings.metrics_port is not None or not api_workers:
        return []
    detail = "this API shows none: its port is for shoppers, and no other is set"
    return [Finding("metrics", "warn", detail, "set PINTUAN_METRICS_PORT, and let Prometheus ask there")]


def warnings(findings: Sequence[Finding]) -> list[str]:
    """Returns those that want to be looked at, each as one line of a log."""
    return [f"{one.subject}: {one.detail}; {one.remedy}" for one in findings if one.status == "warn"]


def payments(settings: Settings) -> Finding:
    """Says who takes money, and warns where that is only pretended or only too real."""
    live = settings.env == "production"
    if settings.payment_gateway == "sandbox":
        if not live:
            return Finding("payments", "ok", "sandbox, which only pretends to take money")
        detail = "SANDBOX IN PRODUCTION: every order counts as paid, and no money is ever taken"
        return Finding("payments", "warn", detail, "set PINTUAN_PAYMENT_GATEWAY=stripe and its keys")
    test_key = "_test_" in (settings.stripe_secret_key or "")
    if live and test_key:
        detail = "stripe, with a test key in production: no money is ever taken"
        return Finding("payments", "warn", detail, "set PINTUAN_STRIPE_SECRET_KEY to the live key")
    if not live and not test_key:
        detail = "stripe, with a live key in dev: real cards are charged"
        return Finding("payments", "warn", detail, "set PINTUAN_STRIPE_SECRET_KEY to a test key")
    return Finding("payments", "ok", f"stripe, with a {'test' if test_key else 'live'} key")


def _signing_in(settings: Settings) -> Iterator[Finding]:
    ways = (settings.smtp_url, settings.sms_webhook_url, settings.trusted_issuers)
    if settings.env == "production" and not any(ways):
        detail = "nobody can: there is no mail, no text message and no issuer whose tokens are taken"
        remedy = "set PINTUAN_SMTP_URL, PINTUAN_SMS_WEBHOOK_URL or PINTUAN_TRUSTED_ISSUERS"
        yield Finding("signing in", "warn", detail, remedy)


def _proxies(settings: Settings) -> Iterator[Finding]:
    if settings.env != "production":
        return
    for network in trusted_networks(settings):
        if network.prefixlen < PROXY_PREFIX_MIN[network.version] and not network.is_private:
            detail = f"{network} is far more than anybody's proxies, and who is in it may say who called"
            yield Finding("proxies", "warn", detail, "name your own in PINTUAN_TRUSTED_PROXIES")


def _links(settings: Settings) -> Iterator[Finding]:
    host = urlsplit(settings.public_url or "").hostname
    if settings.env == "production" and host is not None and _is_local(host):
        detail = f"lead to {settings.public_url}, which is another machine for everybody they are sent to"
        yield Finding("links", "warn", detail, "set PINTUAN_PUBLIC_URL to the address shoppers reach")


def _unknown(reading: Reading) -> Iterator[Finding]:
    known = [setting.variable for setting in SETTINGS]
    refused = {error.variable for error in reading.errors}
    for name in reading.unknown:
        if name not in refused:
            likely = guess(name, known, PREFIX)
            remedy = f"did you mean {likely}?" if likely else "remove it"
            yield Finding("settings", "warn", f"{name} sets nothing", remedy)


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() in LOCAL_NAMES or host.lower().endswith(".localhost")

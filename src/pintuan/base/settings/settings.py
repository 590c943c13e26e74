"""The settings of an operator, each an environment variable `PINTUAN_…`.

`.env` in the working directory supplies what the environment does not. An empty value counts as not set. A
bad value raises SettingsError, which names the variable and never repeats a secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from pintuan.base.auth.trusted_issuer import TrustedIssuer, read_trusted_issuers
from pintuan.base.settings.combinations import Disagreement, disagreements
from pintuan.base.settings.dotenv_file import read_dotenv
from pintuan.base.settings.names import slip
from pintuan.base.settings.secret_key_file import create_secret_key
from pintuan.base.settings.store_urls import placing_redis, postgres, redis_server
from pintuan.base.settings.values import (
    MASK,
    age_days,
    android_apps,
    apple_app_ids,
    choice,
    currency,
    fraction,
    hours,
    mailbox,
    mask_url,
    origins,
    proxies,
    push_service,
    secret_keys,
    secret_of,
    signing_secret,
    switch,
    url,
    web_origin,
    whole_number,
)
from pricing.fee import BASIS_POINTS

PREFIX = "PINTUAN_"
DOTENV_FILE = ".env"
SECRET_KEY_FILE = "secret_key"  # noqa: S105 - this is a file's name, not a secret.
# HS256 wants a key at least as long as its output (RFC 7518, section 3.2).
SECRET_KEY_LENGTH_MIN = 32
# A rotation has two keys; more than a handful is a list nobody cleans up.
SECRET_KEYS_ACCEPTED_MAX = 8
# Ten years: enough for any simulation, and far from the limits of timestamptz.
LANES_PER_MERCHANT = 2_000
OFFSET_MS_MAX = 10 * 365 * 24 * 3600 * 1000
# The share of production's requests that is traced unless another is set.
TRACE_SHARE_PRODUCTION = 0.01


class SettingsError(Exception):
    """A setting cannot be used; `variable` names it and `reason` says why in words for the operator.

    A `needed` one cannot be left out.
    """

    def __init__(self, variable: str, reason: str, *, needed: bool = False) -> None:
        super().__init__(f"{variable}: {reason}")
        self.variable = variable
        self.reason = reason
        self.needed = needed


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """One line of `pintuan doctor`: secrets in `value_shown` are masked."""

    variable: str
    value_shown: str
    default: str
    why: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, typed. `SETTINGS` below says what each is for; printing one shows no secret."""

    env: Literal["dev", "production"] = "dev"
    http_port: int = 8000
    public_url: str | None = None
    data_dir: Path = Path(".pintuan")
    embedded_stores: bool = False
    database_url: str | None = None
    redis_url: str | None = None
    queue_redis_url: str | None = None
    secret_key: str | None = None
    secret_keys_accepted: tuple[str, ...] = ()
    payment_gateway: Literal["sandbox", "stripe"] = "sandbox"
    stripe_secret_key: str | None = None
    stripe_webhook_secret: str | None = None
    stripe_api_base: str | None = None
    clock_offset_ms: int = 0
    sim_offset_ms: int = 0
    rate_limits: bool = True
    default_currency: str = "USD"
    platform_fee_bps: int = 0
    connections_per_address: int = 1_000
    streams_per_address: int = 200
    placements_in_flight: int = 512
    lanes_per_merchant: int = LANES_PER_MERCHANT
    archive_after_days: int = 90
    smtp_url: str | None = None
    mail_from: str | None = None
    sms_webhook_url: str | None = None
    push_webhook_url: str | None = None
    push_webhook_secret: str | None = None
    quiet_hours: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    apple_app_ids: tuple[str, ...] = ()
    android_apps: tuple[str, ...] = ()
    trusted_issuers: tuple[TrustedIssuer, ...] = ()
    metrics_port: int | None = None
    otlp_endpoint: str | None = None
    trace_sample_ratio: float | None = None

    def __repr__(self) -> str:
        shown = ", ".join(f"{doc.variable}={doc.value_shown}" for doc in self.describe())
        return f"Settings({shown})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        # msgspec supplies its own, which rich would prefer to the masked repr above.
        return [(doc.variable, doc.value_shown) for doc in self.describe()]

    @property
    def trace_share(self) -> float:
        """The share of requests that are traced: the one set, else all in dev, 0.01 in production."""
        if self.trace_sample_ratio is not None:
            return self.trace_sample_ratio
        return TRACE_SHARE_PRODUCTION if self.env == "production" else 1.0

    @property
    def share_base(self) -> str:
        """The URL that a share code is appended to."""
        origin = self.public_url or f"http://localhost:{self.http_port}"
        return f"{origin.rstrip('/')}/g/"

    def describe(self) -> list[SettingDoc]:
        """Lists every setting with its value, default and purpose, secrets masked."""
        return [
            SettingDoc(
                variable=setting.variable,
                value_shown=_shown(setting, getattr(self, setting.field)),
                default=_shown(setting, getattr(_DEFAULTS, setting.field)),
                why=setting.why,
            )
            for setting in SETTINGS
        ]

    def resolve_secret_key(self) -> str:
        """Returns the key that signs tokens: the one set, or in dev one kept in the data directory.

        All processes that share a data directory get the same key, however many start at once. Raises
        SettingsError when the file cannot be made or read.
        """
        if self.secret_key is not None:
            return self.secret_key
        if self.env == "production":
            raise SettingsError(_variable("secret_key"), "required in production")
        path = self.data_dir / SECRET_KEY_FILE
        try:
            if not path.exists():
                create_secret_key(path)
            key = path.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            reason = f"not set, and the key of the data directory cannot be used: {error}"
            raise SettingsError(_variable("secret_key"), reason) from error
        if len(key) < SECRET_KEY_LENGTH_MIN:
            raise SettingsError(_variable("secret_key"), f"not set, and {path} is damaged; remove that file")
        return key


@dataclass(frozen=True, slots=True)
class Setting:
    """How a field of Settings is read, why it exists, and whether its value may be shown."""

    field: str
    parse: Callable[[str], object]
    why: str
    secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return _variable(self.field)


@dataclass(frozen=True, slots=True)
class Reading:
    """The settings, with defaults in place of unusable ones, and the errors.

    `unknown` names variables that begin like ours and set nothing, sorted.
    """

    settings: Settings
    errors: tuple[SettingsError, ...]
    unknown: tuple[str, ...]

    def usable(self) -> Settings:
        """Returns the settings; raises the first of the errors where there are any."""
        for error in self.errors:
            raise error
        return self.settings


def load_settings(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Reads the settings from the environment and `.env`, or only from `environ` when one is given.

    `overrides` are fields of Settings, say from command-line options; None means not given. They pass the
    same checks as variables do, and a variable must be right even where an option overrides it. Raises
    SettingsError, and TypeError for an override that is no field.
    """
    return read_settings(environ, **overrides).usable()


def read_settings(environ: Mapping[str, str] | None = None, **overrides: Any) -> Reading:
    """Reads like `load_settings`, but goes on after a setting that cannot be used.

    Raises SettingsError when `.env` cannot be read, and TypeError for an override that is no field.
    """
    texts = _environment() if environ is None else environ
    values: dict[str, Any] = {}
    errors: list[SettingsError] = []
    for setting in SETTINGS:
        given = (texts.get(setting.variable, ""), text_of(overrides.pop(setting.field, None)))
        for text in (text.strip() for text in given):
            if not text:
                continue
            try:
                values[setting.field] = setting.parse(text)
            except ValueError as error:
                # Its cause may repeat a secret, so it is left out.
                errors.append(SettingsError(setting.variable, str(error)))
                errors[-1].__suppress_context__ = True
    if overrides:
        raise TypeError(f"no setting is called {min(overrides)!r}")
    settings = Settings(**values)
    known = [setting.variable for setting in SETTINGS]
    unknown = sorted(name for name in texts if name.startswith(PREFIX) and name not in known)
    if settings.env == "production":
        errors += [_slip(name, meant) for name in unknown if (meant := slip(name, known, PREFIX))]
    found = disagreements(settings, SECRET_KEY_LENGTH_MIN, given=values.keys())
    return Reading(settings, (*errors, *(_error_of(one) for one in found)), tuple(unknown))


def text_of(value: object) -> str:
    """Returns a setting's value as a variable would have it; one that is not set as the empty text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        if value and isinstance(value[0], TrustedIssuer):
            return msgspec.json.encode(value).decode()
        return ",".join(map(str, value))
    return str(value)


def _variable(field: str) -> str:
    return PREFIX + field.upper()


def _slip(name: str, meant: str) -> SettingsError:
    return SettingsError(name, f"sets nothing; did you mean {meant}?")


def _error_of(found: Disagreement) -> SettingsError:
    return SettingsError(_variable(found.field), found.reason, needed=found.needed)


def _environment() -> dict[str, str]:
    try:
        return {**read_dotenv(Path(DOTENV_FILE)), **os.environ}
    except ValueError as error:
        raise SettingsError(DOTENV_FILE, str(error)) from error


def _shown(setting: Setting, value: object) -> str:
    if value is None or value == ():
        return "not set"
    if setting.secret:
        return MASK
    if setting.field.endswith("_url"):
        return mask_url(str(value))
    return text_of(value)


SETTINGS = (
    Setting("env", choice("dev", "production"), "production refuses what is meant for a developer's machine"),
    Setting("http_port", whole_number(1, 65_535), "the port the API listens on"),
    Setting("public_url", web_origin, "the address shoppers reach, put into share links"),
    Setting("data_dir", lambda text: Path(text).expanduser(), "where embedded stores and the dev key live"),
    Setting(
        "embedded_stores", switch, "on lets production keep its stores in the data directory, as dev does"
    ),
    Setting("database_url", postgres, "your own Postgres; without it an embedded one starts"),
    Setting(
        "redis_url",
        placing_redis,
        "your own Redis for placement, or redis+cluster://host:port,host:port; else an embedded one starts",
    ),
    Setting("queue_redis_url", redis_server, "a Redis for the job queue; else PINTUAN_REDIS_URL"),
    Setting("secret_key", str, "signs access tokens; in dev one is made in the data directory", secret=True),
    Setting(
        "secret_keys_accepted",
        secret_keys(length_min=SECRET_KEY_LENGTH_MIN, count_max=SECRET_KEYS_ACCEPTED_MAX),
        "former or coming secret keys, comma separated, which verify and sign nothing; for rotation",
        secret=True,
    ),
    Setting(
        "payment_gateway",
        choice("sandbox", "stripe"),
        "who takes payments; the sandbox pretends to, and production has to name it",
    ),
    Setting("stripe_secret_key", secret_of("sk_", "rk_"), "calls Stripe's API", secret=True),
    Setting(
        "stripe_webhook_secret",
        secret_of("whsec_"),
        "checks what Stripe sends to /v1/payments/webhooks/stripe",
        secret=True,
    ),
    Setting("stripe_api_base", web_origin, "dev only: a server in place of Stripe's, for tests"),
    Setting(
        "clock_offset_ms",
        whole_number(-OFFSET_MS_MAX, OFFSET_MS_MAX),
        "dev only: shifts this process' clock, to show that nothing depends on it",
    ),
    Setting(
        "sim_offset_ms",
        whole_number(-OFFSET_MS_MAX, OFFSET_MS_MAX),
        "dev only: shifts the database's now, to simulate other days",
    ),
    Setting("rate_limits", switch, "off only in dev, for load tests"),
    Setting("default_currency", currency, "the currency of feeds whose prices name none"),
    Setting(
        "platform_fee_bps",
        whole_number(0, BASIS_POINTS),
        "the platform's part of what new merchants sell, in basis points; `pintuan fee` changes a merchant's",
    ),
    Setting(
        "connections_per_address",
        whole_number(1, 1_000_000),
        "how many connections a process takes from one client address; trusted proxies are not counted",
    ),
    Setting(
        "streams_per_address",
        whole_number(1, 1_000_000),
        "how many live streams of groups a process keeps open for one client address",
    ),
    Setting(
        "placements_in_flight",
        whole_number(1, 100_000),
        "how many joins, openings and purchases an API process works on at once; it refuses others with 503",
    ),
    Setting(
        "lanes_per_merchant",
        whole_number(1, 1_000_000),
        "how many lanes the deals of one merchant may have that are not over; workers look at all of them",
    ),
    Setting(
        "archive_after_days",
        age_days(7, 36_500),
        "how long after its end an order moves to the archive, where it is read as before; 0 for never",
    ),
    Setting(
        "smtp_url",
        url("smtp", "smtps"),
        "who delivers e-mail; without it none is sent, and dev shows it in the log and at /dev/outbox",
    ),
    Setting("mail_from", mailbox, "whom e-mail comes from, such as Tea House <hello@shop.example>"),
    Setting(
        "sms_webhook_url",
        url("https", "http"),
        'who delivers texts, by POST of {"to", "text"}; without it dev shows them as it does e-mail',
        secret=True,
    ),
    Setting("push_webhook_url", push_service, "your app's push service; without it nothing is pushed"),
    Setting("push_webhook_secret", signing_secret, "signs what it is sent (Standard Webhooks)", secret=True),
    Setting("quiet_hours", hours, "when recipients sleep, or off; else 21-9 in production, off in dev"),
    Setting("apple_app_ids", apple_app_ids, "TEAM.bundle of each iOS app that opens shared links"),
    Setting("android_apps", android_apps, "package=SHA-256 fingerprint of each Android app that does"),
    Setting(
        "trusted_issuers",
        read_trusted_issuers,
        "a JSON list of others whose tokens are taken; each has name, issuer, audience and jwks_url",
    ),
    Setting(
        "trusted_proxies",
        proxies,
        "addresses or networks, comma separated, whose X-Forwarded-For is believed; in dev * for any",
    ),
    Setting(
        "cors_origins",
        origins,
        "origins of web pages that may call the API, such as https://app.shop.example, or *; else none",
    ),
    Setting(
        "metrics_port",
        whole_number(1, 65_535),
        "serves /metrics and /health on a port of their own; an API in production has /metrics nowhere else",
    ),
    Setting(
        "otlp_endpoint",
        web_origin,
        "an OpenTelemetry collector (OTLP over HTTP); without it nothing is traced",
    ),
    Setting(
        "trace_sample_ratio",
        fraction,
        "the share of requests that are traced; else all in dev, 0.01 in production",
    ),
)
_DEFAULTS = Settings()

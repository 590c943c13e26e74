"""A bad setting names its variable, and no secret is ever shown."""

import stat
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from threading import Barrier

import msgspec
import pytest
from rich.console import Console

from pintuan.base.auth.trusted_issuer import TrustedIssuer
from pintuan.base.settings.settings import (
    OFFSET_MS_MAX,
    SECRET_KEY_LENGTH_MIN,
    SETTINGS,
    Settings,
    SettingsError,
    load_settings,
    read_settings,
)
from pintuan.base.settings.values import mask_url

KEY = "k" * SECRET_KEY_LENGTH_MIN
PRODUCTION = {
    "PINTUAN_ENV": "production",
    "PINTUAN_SECRET_KEY": KEY,
    "PINTUAN_PAYMENT_GATEWAY": "sandbox",
    "PINTUAN_PUBLIC_URL": "https://shop.example",
    "PINTUAN_DATABASE_URL": "postgresql://db/shop",
    "PINTUAN_REDIS_URL": "redis://cache",
}
PUSH_SECRET = "whsec_" + "c2lnbmluZyBrZXkg" * 2
STARTING_AT_ONCE = 8
ISSUERS = """[{"name": "shop", "issuer": "https://a.example", "audience": "us",
    "jwks_url": "https://a.example/keys"}]"""


def test_an_empty_environment_gives_the_defaults() -> None:
    assert load_settings({}) == Settings()


def test_every_variable_reaches_its_field() -> None:
    settings = load_settings(
        {
            "PINTUAN_ENV": "dev",
            "PINTUAN_HTTP_PORT": "9000",
            "PINTUAN_PUBLIC_URL": "https://shop.example/",
            "PINTUAN_DATA_DIR": "/var/lib/pintuan",
            "PINTUAN_DATABASE_URL": "postgresql:///shop?host=/run/postgresql",
            "PINTUAN_REDIS_URL": "rediss://cache:7000",
            "PINTUAN_QUEUE_REDIS_URL": "unix:///run/redis.sock",
            "PINTUAN_SECRET_KEY": KEY,
            "PINTUAN_PAYMENT_GATEWAY": "stripe",
            "PINTUAN_STRIPE_SECRET_KEY": "sk_test_1",
            "PINTUAN_STRIPE_WEBHOOK_SECRET": "whsec_1",
            "PINTUAN_STRIPE_API_BASE": "http://localhost:12111",
            "PINTUAN_CLOCK_OFFSET_MS": "-5000",
            "PINTUAN_SIM_OFFSET_MS": "+86400000",
            "PINTUAN_RATE_LIMITS": "off",
            "PINTUAN_DEFAULT_CURRENCY": "eur",
            "PINTUAN_METRICS_PORT": "9100",
            "PINTUAN_OTLP_ENDPOINT": "http://collector:4318/",
            "PINTUAN_TRACE_SAMPLE_RATIO": "0.25",
            "PINTUAN_SECRET_KEYS_ACCEPTED": f"{KEY}1, {KEY}2",
            "PINTUAN_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::7",
            "PINTUAN_CORS_ORIGINS": "https://app.shop.example, http://localhost:3000",
            "PINTUAN_TRUSTED_ISSUERS": ISSUERS,
        }
    )

    assert settings == Settings(
        env="dev",
        http_port=9000,
        public_url="https://shop.example",
        data_dir=Path("/var/lib/pintuan"),
        database_url="postgresql:///shop?host=/run/postgresql",
        redis_url="rediss://cache:7000",
        queue_redis_url="unix:///run/redis.sock",
        cors_origins=("https://app.shop.example", "http://localhost:3000"),
        secret_key=KEY,
        payment_gateway="stripe",
        stripe_secret_key="sk_test_1",
        stripe_webhook_secret="whsec_1",
        stripe_api_base="http://localhost:12111",
        clock_offset_ms=-5000,
        sim_offset_ms=86_400_000,
        rate_limits=False,
        default_currency="EUR",
        metrics_port=9100,
        otlp_endpoint="http://collector:4318",
        trace_sample_ratio=0.25,
        secret_keys_accepted=(f"{KEY}1", f"{KEY}2"),
        trusted_proxies=("10.0.0.0/8", "2001:db8::7"),
        trusted_issuers=(TrustedIssuer("shop", "https://a.example", "us", "https://a.example/keys"),),
    )


@pytest.mark.parametrize(
    ("variable", "text", "reason"),
    [
        ("ENV", "staging", "must be dev or production, not 'staging'"),
        ("DEFAULT_CURRENCY", "QQQ", "'QQQ' is not an active ISO 4217 currency code"),
        ("HTTP_PORT", "http", "must be a whole number from 1 to 65535, not 'http'"),
        ("HTTP_PORT", "0", "must be a whole number from 1 to 65535, not '0'"),
        ("HTTP_PORT", "65536", "must be a whole number from 1 to 65535, not '65536'"),
        ("HTTP_PORT", "8_000", "must be a whole number from 1 to 65535, not '8_000'"),
        ("PUBLIC_URL", "shop.example", "must start with https:// or http://"),
        ("PUBLIC_URL", "https://", "must be a plain address"),
        ("PUBLIC_URL", "https://shop.example/?a=1", "must be a plain address"),
        ("DATABASE_URL", "mysql://db/shop", "must start with postgresql:// or postgres://"),
        ("DATABASE_URL", "postgresql://db:port/shop", "is not a valid URL"),
        ("DATABASE_URL", "postgresql://db:0/shop", "is not a valid URL"),
        ("DATABASE_URL", "postgresql://a b@db/shop", "is not a valid URL"),
        ("DATABASE_URL", "postgresql:shop", "must start with postgresql://"),
        ("REDIS_URL", "http://cache", "must start with redis:// or rediss:// or unix://"),
        ("DATABASE_URL", "postgresql://u:p@one:5432,two:port/shop", "host 2 is not a valid host:port"),
        (
            "DATABASE_URL",
            "postgresql://db/shop?sslrootcert=/none/ca.pem",
            "sslrootcert: cannot read /none/ca.pem",
        ),
        (
            "REDIS_URL",
            "rediss://cache?ssl_ca_certs=/none/ca.pem",
            "ssl_ca_certs: cannot read /none/ca.pem: No such",
        ),
        ("REDIS_URL", "rediss://cache?ssl_ca_certs=/dev/null", "ssl_ca_certs: /dev/null cannot be used"),
        (
            "REDIS_URL",
            "rediss://cache?ssl_ca_cert=x",
            "has the option 'ssl_ca_cert', which there is not; did you",
        ),
        (
            "REDIS_URL",
            "rediss+cluster://one,two?sll_ca_certs=x",
            "has the option 'sll_ca_certs', which there is not",
        ),
        ("REDIS_URL", "redis://cache?ssl_ca_certs=x", "has the option ssl_ca_certs, which needs rediss://"),
        ("REDIS_URL", "rediss://cache?ssl_check_hostname=maybe", "ssl_check_hostname must be true"),
        (
            "QUEUE_REDIS_URL",
            "redis://cache?decode_responses=1",
            "has the option 'decode_responses', which there",
        ),
        ("QUEUE_REDIS_URL", "redis://cache?db=first", "Invalid value for 'db'"),
        ("REDIS_URL", "redis+cluster:cache", "must have ://"),
        ("REDIS_URL", "redis+cluster://one:7000,two:port", "node 2 is not a valid host:port"),
        ("REDIS_URL", "redis+cluster://:hunter2@one:7000,:7001", "node 2 is not a valid host:port"),
        ("REDIS_URL", "redis+cluster://one:7000/1", "a cluster has no other database than 0"),
        ("QUEUE_REDIS_URL", "redis+cluster://cache", "must start with redis:// or rediss:// or unix://"),
        ("ARCHIVE_AFTER_DAYS", "6", "must be 0, for never, or a number of days from 7 to 36500, not '6'"),
        ("ARCHIVE_AFTER_DAYS", "off", "must be 0, for never, or a number of days from 7"),
        ("PAYMENT_GATEWAY", "paypal", "must be sandbox or stripe, not 'paypal'"),
        ("STRIPE_SECRET_KEY", "pk_live_1", "must begin with sk_ or rk_"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_", "must begin with whsec_"),
        ("STRIPE_API_BASE", "localhost:1", "must start with https:// or http://"),
        ("CLOCK_OFFSET_MS", "1.5", "must be a whole number"),
        ("CLOCK_OFFSET_MS", str(OFFSET_MS_MAX + 1), "must be a whole number"),
        ("SIM_OFFSET_MS", "a day", "must be a whole number"),
        ("RATE_LIMITS", "true", "must be on or off, not 'true'"),
        ("SECRET_KEYS_ACCEPTED", f"{KEY},short", "key 2 of 2 has fewer than 32 characters"),
        ("SECRET_KEYS_ACCEPTED", f"{KEY},", "key 2 of 2 has fewer than 32 characters"),
        ("SECRET_KEYS_ACCEPTED", ",".join([KEY] * 9), "has 9 keys; at most 8 are accepted"),
        ("TRUSTED_PROXIES", "10.0.0.1,proxy.local", "must be addresses or networks separated by commas"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "must be addresses or networks separated by commas"),
        ("CORS_ORIGINS", "app.shop.example", "must be origins such as https://app.shop.example"),
        ("CORS_ORIGINS", "https://app.shop.example/", "must be origins such as https://app.shop.example"),
        ("CORS_ORIGINS", "https://App.shop.example", "must be origins such as https://app.shop.example"),
        ("CORS_ORIGINS", "https://a.example,*", "must be origins such as https://app.shop.example"),
        ("METRICS_PORT", "0", "must be a whole number from 1 to 65535, not '0'"),
        ("OTLP_ENDPOINT", "collector:4318", "must start with https:// or http://"),
        ("TRACE_SAMPLE_RATIO", "1.01", "must be a number from 0 to 1, not '1.01'"),
        ("TRACE_SAMPLE_RATIO", "half", "must be a number from 0 to 1, not 'half'"),
    ],
)
def test_a_bad_value_names_its_variable(variable: str, text: str, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({f"PINTUAN_{variable}": text})

    assert caught.value.variable == f"PINTUAN_{variable}"
    assert caught.value.reason.startswith(reason)
    assert str(caught.value).startswith(f"PINTUAN_{variable}: {reason}")


@pytest.mark.parametrize(
    ("environ", "variable", "reason"),
    [
        ({"PINTUAN_ENV": "production"}, "PINTUAN_SECRET_KEY", "required in production"),
        (PRODUCTION | {"PINTUAN_SECRET_KEY": KEY[1:]}, "PINTUAN_SECRET_KEY", "at least 32 characters"),
        (PRODUCTION | {"PINTUAN_CLOCK_OFFSET_MS": "1"}, "PINTUAN_CLOCK_OFFSET_MS", "only dev"),
        (PRODUCTION | {"PINTUAN_SIM_OFFSET_MS": "1"}, "PINTUAN_SIM_OFFSET_MS", "only dev"),
        (PRODUCTION | {"PINTUAN_RATE_LIMITS": "off"}, "PINTUAN_RATE_LIMITS", "only dev"),
        (
            PRODUCTION | {"PINTUAN_STRIPE_API_BASE": "https://a.example"},
            "PINTUAN_STRIPE_API_BASE",
            "only dev",
        ),
        (
            PRODUCTION | {"PINTUAN_PAYMENT_GATEWAY": ""},
            "PINTUAN_PAYMENT_GATEWAY",
            "every order counts as paid",
        ),
        (PRODUCTION | {"PINTUAN_PUBLIC_URL": ""}, "PINTUAN_PUBLIC_URL", "share links lead to"),
        (
            PRODUCTION | {"PINTUAN_PUBLIC_URL": "http://shop.example"},
            "PINTUAN_PUBLIC_URL",
            "must begin with https",
        ),
        (PRODUCTION | {"PINTUAN_DATABASE_URL": ""}, "PINTUAN_DATABASE_URL", "unless PINTUAN_EMBEDDED_STORES"),
        (PRODUCTION | {"PINTUAN_REDIS_URL": ""}, "PINTUAN_REDIS_URL", "unless PINTUAN_EMBEDDED_STORES is on"),
        (PRODUCTION | {"PINTUAN_TRUSTED_PROXIES": "*"}, "PINTUAN_TRUSTED_PROXIES", "only dev may believe"),
        (
            PRODUCTION | {"PINTUAN_TRUSTED_PROXIES": "::1,::/0"},
            "PINTUAN_TRUSTED_PROXIES",
            "only dev may believe",
        ),
        *(
            (
                PRODUCTION | {"PINTUAN_TRUSTED_PROXIES": everybody},
                "PINTUAN_TRUSTED_PROXIES",
                "only dev may believe",
            )
            for everybody in (
                "0.0.0.0/1,128.0.0.0/1",
                "::/1,10.0.0.0/8,8000::/1",
                "2000::/3",
                ",".join(f"{n}.0.0.0/8" for n in range(256)),
            )
        ),
        *(
            (
                PRODUCTION
                | {"PINTUAN_PUSH_WEBHOOK_SECRET": PUSH_SECRET, variable: "http://127.0.0.1:9000/send"},
                variable,
                "must begin with https",
            )
            for variable in ("PINTUAN_SMS_WEBHOOK_URL", "PINTUAN_PUSH_WEBHOOK_URL")
        ),
        (
            PRODUCTION | {"PINTUAN_DATABSE_URL": "x"},
            "PINTUAN_DATABSE_URL",
            "did you mean PINTUAN_DATABASE_URL",
        ),
        ({"PINTUAN_PAYMENT_GATEWAY": "stripe"}, "PINTUAN_STRIPE_SECRET_KEY", "needed when"),
        (
            {"PINTUAN_REDIS_URL": "redis+cluster://one:7000,two:7000"},
            "PINTUAN_QUEUE_REDIS_URL",
            "needed when PINTUAN_REDIS_URL is a cluster",
        ),
        (
            {"PINTUAN_PAYMENT_GATEWAY": "stripe", "PINTUAN_STRIPE_SECRET_KEY": "rk_live_1"},
            "PINTUAN_STRIPE_WEBHOOK_SECRET",
            "needed when",
        ),
        ({"PINTUAN_METRICS_PORT": "8000"}, "PINTUAN_METRICS_PORT", "must differ from PINTUAN_HTTP_PORT"),
    ],
)
def test_a_combination_that_cannot_work_names_the_variable_to_change(
    environ: dict[str, str], variable: str, reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        load_settings(environ)

    assert caught.value.variable == variable


def test_production_starts_with_a_long_key_and_no_shifted_clock() -> None:
    settings = load_settings(PRODUCTION | {"PINTUAN_CLOCK_OFFSET_MS": "0", "PINTUAN_RATE_LIMITS": "on"})

    assert settings.resolve_secret_key() == KEY


def test_production_keeps_its_stores_in_the_data_directory_only_where_that_is_said() -> None:
    urls = {"PINTUAN_DATABASE_URL": "", "PINTUAN_REDIS_URL": ""}

    assert load_settings(PRODUCTION | urls | {"PINTUAN_EMBEDDED_STORES": "on"}).database_url is None


def test_a_mistyped_name_is_told_before_what_it_leaves_unset() -> None:
    environ = {name: value for name, value in PRODUCTION.items() if name != "PINTUAN_DATABASE_URL"}

    reading = read_settings(environ | {"PINTUAN_DATABSE_URL": "postgresql://db/shop"})

    assert [error.variable for error in reading.errors] == ["PINTUAN_DATABSE_URL", "PINTUAN_DATABASE_URL"]


@pytest.mark.parametrize(
    "name",
    ["SERVICE_HOST", "SERVICE_PORT", "PORT", "PORT_8000_TCP", "PORT_8000_TCP_ADDR", "API_SERVICE_PORT"],
)
def test_what_kubernetes_sets_for_a_service_of_our_name_is_no_slip(name: str) -> None:
    assert load_settings(PRODUCTION | {f"PINTUAN_{name}": "tcp://10.0.0.1:8000"}) == load_settings(PRODUCTION)


def test_several_servers_of_postgres_may_be_named_as_libpq_has_it() -> None:
    url = "postgresql://shop:p%40ss@one:5432,two:5433/shop?target_session_attrs=read-write"

    assert load_settings({"PINTUAN_DATABASE_URL": url}).database_url == url


def test_an_empty_value_counts_as_not_set() -> None:
    assert load_settings({"PINTUAN_DATABASE_URL": "", "PINTUAN_HTTP_PORT": " "}) == Settings()


def test_overrides_win_over_the_environment_and_pass_the_same_checks() -> None:
    environ = {"PINTUAN_HTTP_PORT": "9000", "PINTUAN_DATA_DIR": "here"}

    settings = load_settings(environ, http_port=9001, data_dir=None, rate_limits=False)

    assert (settings.http_port, settings.data_dir, settings.rate_limits) == (9001, Path("here"), False)
    with pytest.raises(SettingsError, match="PINTUAN_HTTP_PORT: must be a whole number"):
        load_settings(environ, http_port=70_000)
    with pytest.raises(TypeError, match="no setting is called 'port'"):
        load_settings(environ, port=1)


def test_a_bad_variable_is_refused_even_where_an_option_overrides_it() -> None:
    with pytest.raises(SettingsError, match="PINTUAN_HTTP_PORT: must be a whole number"):
        load_settings({"PINTUAN_HTTP_PORT": "abc"}, http_port=9001)


def test_reading_goes_on_after_a_setting_that_cannot_be_used() -> None:
    reading = read_settings(
        {"PINTUAN_HTTP_PORT": "abc", "PINTUAN_RATE_LIMITS": "maybe", "PINTUAN_DATA_DIR": "here"}
    )

    assert [error.variable for error in reading.errors] == ["PINTUAN_HTTP_PORT", "PINTUAN_RATE_LIMITS"]
    assert reading.settings == Settings(data_dir=Path("here"))


def test_variables_that_set_nothing_are_named() -> None:
    environ = {"PINTUAN_HTTP_PROT": "9000", "PINTUAN_HTTP_PORT": "9000", "OTHER_PORT": "1", "PINTUAN_A": ""}

    assert read_settings(environ).unknown == ("PINTUAN_A", "PINTUAN_HTTP_PROT")


def test_all_is_traced_in_dev_and_one_in_a_hundred_in_production_unless_set() -> None:
    assert load_settings({}).trace_share == 1.0
    assert load_settings(PRODUCTION).trace_share == 0.01
    assert load_settings(PRODUCTION | {"PINTUAN_TRACE_SAMPLE_RATIO": "0"}).trace_share == 0.0


def test_a_dotenv_file_fills_what_the_environment_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PINTUAN_HTTP_PORT", "9001")
    (tmp_path / ".env").write_text(
        "# ours\nPINTUAN_HTTP_PORT=9000\nexport PINTUAN_RATE_LIMITS='off'\nPINTUAN_SECRET_KEY=\"a$b # c\"\n"
    )

    settings = load_settings()

    assert (settings.http_port, settings.rate_limits, settings.secret_key) == (9001, False, "a$b # c")


@pytest.mark.parametrize("line", ["PINTUAN_ENV='dev", "PINTUAN_ENV", "nonsense"])
def test_a_dotenv_line_that_makes_no_sense_is_named(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"PINTUAN_HTTP_PORT=9000\n{line}\n")

    with pytest.raises(SettingsError, match=r"^\.env: line 2 is not NAME=value$"):
        load_settings()


def test_without_a_dotenv_file_the_environment_alone_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert load_settings() == Settings()


SECRETIVE = Settings(
    database_url="postgresql://shop:hunter2@db:5432/shop?sslpassword=hunter2&a=b",
    redis_url="redis://:hunter2@cache/0",
    queue_redis_url="redis://queue/1",
    secret_key="hunter2" * 5,
)


def test_nothing_printed_about_settings_holds_a_secret() -> None:
    out = StringIO()
    Console(file=out, width=1000).print(SECRETIVE)

    for shown in (repr(SECRETIVE), str(SECRETIVE), f"{SECRETIVE}", out.getvalue(), str(SECRETIVE.describe())):
        assert "hunter2" not in shown
        assert "postgresql://shop:***@db:5432/shop?sslpassword=***&a=b" in shown


def test_a_refused_url_is_not_repeated_because_it_may_hold_a_password() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"PINTUAN_DATABASE_URL": "postgresql://shop:hunter2@db:port/shop"})

    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://cache:6379/0", "redis://cache:6379/0"),
        ("redis://user@cache/0", "redis://user@cache/0"),
        ("redis://:pw@cache/0", "redis://:***@cache/0"),
        ("redis://u:p:w@cache/0", "redis://u:***@cache/0"),
        ("redis://u:p@w@cache/0", "redis://u:***@cache/0"),
        ("redis://u:1/2@cache/0", "redis://u:***@cache/0"),
        ("redis+cluster://u:pw@one:7000,two:7000", "redis+cluster://u:***@one:7000,two:7000"),
        ("postgresql:///shop?host=/run&password=pw", "postgresql:///shop?host=/run&password=***"),
    ],
)
def test_masking_hides_the_password_and_nothing_else(url: str, masked: str) -> None:
    assert mask_url(url) == masked


def test_every_setting_is_described_with_value_default_and_reason() -> None:
    docs = {doc.variable: doc for doc in load_settings({"PINTUAN_HTTP_PORT": "9000"}).describe()}

    assert {variable.removeprefix("PINTUAN_").lower() for variable in docs} == set(Settings.__struct_fields__)
    assert len(docs) == len(SETTINGS)
    assert (docs["PINTUAN_HTTP_PORT"].value_shown, docs["PINTUAN_HTTP_PORT"].default) == ("9000", "8000")
    assert docs["PINTUAN_SECRET_KEY"].value_shown == "not set"
    assert docs["PINTUAN_RATE_LIMITS"].value_shown == "on"
    assert all(doc.why for doc in docs.values())


def test_settings_cannot_be_changed_by_accident() -> None:
    with pytest.raises(AttributeError):
        Settings().http_port = 1  # type: ignore[misc]

    assert msgspec.structs.replace(Settings(), http_port=1).http_port == 1


def test_the_dev_key_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new" / "data")

    key = settings.resolve_secret_key()

    file = settings.data_dir / "secret_key"
    assert len(key) >= SECRET_KEY_LENGTH_MIN
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert settings.resolve_secret_key() == key
    assert [path.name for path in settings.data_dir.iterdir()] == ["secret_key"]


def test_processes_that_start_at_once_agree_on_the_dev_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    together = Barrier(STARTING_AT_ONCE)

    def start(_: int) -> str:
        together.wait()
        return settings.resolve_secret_key()

    with ThreadPoolExecutor(STARTING_AT_ONCE) as threads:
        keys = set(threads.map(start, range(STARTING_AT_ONCE)))

    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_a_damaged_dev_key_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("short")

    with pytest.raises(SettingsError, match=r"^PINTUAN_SECRET_KEY: not set, and .*secret_key is damaged"):
        Settings(data_dir=tmp_path).resolve_secret_key()


def test_a_data_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match="PINTUAN_SECRET_KEY: not set, and the key of the data directory"):
        Settings(data_dir=tmp_path / "file" / "data").resolve_secret_key()


def test_production_never_makes_a_key(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PINTUAN_SECRET_KEY: required in production"):
        Settings(env="production", data_dir=tmp_path).resolve_secret_key()

    assert list(tmp_path.iterdir()) == []

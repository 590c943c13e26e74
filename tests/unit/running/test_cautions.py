"""What is allowed and hardly meant is named, with what to do about it."""

import pytest

from pintuan.base.settings.settings import Settings, read_settings
from pintuan.http.fair_share.limits import connections_for
from pintuan.running.cautions import of_connections, of_host, of_node, of_settings, warnings

PRODUCTION = {
    "PINTUAN_ENV": "production",
    "PINTUAN_SECRET_KEY": "k" * 32,
    "PINTUAN_PAYMENT_GATEWAY": "stripe",
    "PINTUAN_STRIPE_SECRET_KEY": "sk_live_1",
    "PINTUAN_STRIPE_WEBHOOK_SECRET": "whsec_1",
    "PINTUAN_PUBLIC_URL": "https://shop.example",
    "PINTUAN_DATABASE_URL": "postgresql://db/shop",
    "PINTUAN_REDIS_URL": "redis://cache",
    "PINTUAN_SMTP_URL": "smtp://mail.example",
    "PINTUAN_MAIL_FROM": "hello@shop.example",
}


def told(**changes: str) -> list[str]:
    environ = PRODUCTION | {f"PINTUAN_{name}": value for name, value in changes.items()}
    return warnings(of_settings(read_settings(environ)))


def test_nothing_is_said_of_settings_that_can_be_meant() -> None:
    assert told() == []
    assert told(TRUSTED_PROXIES="10.0.0.0/8,172.16.0.0/12,fc00::/7,104.16.0.0/13,2a06:98c0::/29") == []
    assert warnings(of_settings(read_settings({}))) == [], "dev has defaults for everything"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"PAYMENT_GATEWAY": "sandbox"},
            "payments: SANDBOX IN PRODUCTION: every order counts as paid, and no money is ever taken;"
            " set PINTUAN_PAYMENT_GATEWAY=stripe and its keys",
        ),
        ({"STRIPE_SECRET_KEY": "sk_test_1"}, "payments: stripe, with a test key in production"),
        ({"SMTP_URL": "", "MAIL_FROM": ""}, "signing in: nobody can"),
        ({"PUBLIC_URL": "https://localhost:8000"}, "links: lead to https://localhost:8000"),
        ({"PUBLIC_URL": "https://127.0.0.1"}, "links: lead to https://127.0.0.1"),
        ({"PUBLIC_URL": "https://[::1]:8000"}, "links: lead to https://[::1]:8000"),
        (
            {"TRUSTED_PROXIES": "16.0.0.0/8,17.0.0.0/8,10.0.0.0/8"},
            "proxies: 16.0.0.0/7 is far more than anybody's proxies, and who is in it may say who called",
        ),
        ({"TRUSTED_PROXIES": "10.0.0.0/7"}, "proxies: 10.0.0.0/7 is far more"),
        ({"TRUSTED_PROXIES": "2a00::/11"}, "proxies: 2a00::/11 is far more"),
        ({"PORT": "8000"}, "settings: PINTUAN_PORT sets nothing; did you mean PINTUAN_HTTP_PORT?"),
        ({"XYZZY": ""}, "settings: PINTUAN_XYZZY sets nothing; remove it"),
    ],
)
def test_what_is_hardly_meant_is_one_line(changes: dict[str, str], line: str) -> None:
    (found,) = told(**changes)
    assert found.startswith(line)


def test_a_name_that_is_refused_is_not_told_twice() -> None:
    assert told(DATABSE_URL="postgresql://db/shop") == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_dev_may_listen_to_this_machine(host: str) -> None:
    assert of_host(Settings(), host) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "shop.local"])  # noqa: S104 - only read.
def test_dev_that_listens_to_a_network_is_told_what_it_shows(host: str) -> None:
    (line,) = warnings(of_host(Settings(), host))
    assert line.startswith(f"host: dev listens on {host}: whoever reaches it reads everybody's codes")
    assert of_host(Settings(env="production"), host) == []


def test_a_postgres_with_too_few_connections_for_one_node_is_told_in_one_line() -> None:
    needed = connections_for(api_processes=2, workers=2)
    assert of_connections(needed, 2, 2) == []
    (line,) = warnings(of_connections(14, 2, 2))
    assert line.startswith(
        f"connections: Postgres lets in 14, and this node alone may need {needed}; set max_conn"
    )


def test_an_api_whose_metrics_nobody_can_ask_for_is_told_so() -> None:
    (line,) = warnings(of_node(Settings(env="production"), api_workers=1))
    assert line.startswith("metrics: this API shows none")
    assert of_node(Settings(env="production"), api_workers=0) == []
    assert of_node(Settings(env="production", metrics_port=9100), api_workers=1) == []
    assert of_node(Settings(), api_workers=1) == []

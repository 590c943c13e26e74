"""Settings survive the way to a child process."""

from pathlib import Path

import pytest

from pintuan.base.auth.trusted_issuer import TrustedIssuer
from pintuan.base.settings.settings import Settings, load_settings
from pintuan.running.supervisor.environment import child_environment


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(
            env="production",
            http_port=9000,
            public_url="https://shop.example",
            data_dir=Path("/srv/pintuan data"),
            database_url="postgresql://u:p%40@db/x",
            redis_url="redis://r:1/2",
            queue_redis_url="redis://q:1/2",
            secret_key="s" * 32,
            secret_keys_accepted=("t" * 32, "u" * 32),
            trusted_proxies=("10.0.0.0/8", "2001:db8::7"),
            trusted_issuers=(TrustedIssuer("shop", "https://a.example", "us", "https://a.example/keys"),),
        ),
        Settings(clock_offset_ms=-5, sim_offset_ms=86_400_000, rate_limits=False),
    ],
)
def test_a_child_reads_the_settings_its_supervisor_has(settings: Settings) -> None:
    assert load_settings(child_environment(settings, Path("metrics"))) == settings


def test_what_is_not_set_hides_a_dotenv_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("PINTUAN_PUBLIC_URL=https://elsewhere.example\n")
    for name, value in child_environment(Settings(), tmp_path).items():
        monkeypatch.setenv(name, value)
    assert load_settings().public_url is None

"""Which Redis the group engine places in."""

import pytest

from pintuan.base.settings.settings import Settings, SettingsError
from pintuan.base.stores.redis import placement_url


@pytest.mark.parametrize("url", ["redis://cache:6379/0", "redis+cluster://one:7000,two:7001"])
def test_what_is_set_is_placed_in(url: str) -> None:
    assert placement_url(Settings(redis_url=url)) == url


def test_no_redis_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="not set") as refused:
        placement_url(Settings())
    assert refused.value.variable == "PINTUAN_REDIS_URL"

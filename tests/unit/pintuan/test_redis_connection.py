"""Which Redis the group engine places in."""

import pytest

from pintuan.redis_connection import placement_url
from pintuan.settings import Settings, SettingsError


def test_a_single_redis_is_placed_in() -> None:
    assert placement_url(Settings(redis_url="redis://cache:6379/0")) == "redis://cache:6379/0"


@pytest.mark.parametrize(
    ("url", "reason"), [(None, "not set"), ("redis+cluster://cache:7000", "not supported yet")]
)
def test_no_redis_and_a_cluster_are_refused_by_name(url: str | None, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as refused:
        placement_url(Settings(redis_url=url))
    assert refused.value.variable == "PINTUAN_REDIS_URL"

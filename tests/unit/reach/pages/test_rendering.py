"""What a browser sent and what goes into a header of the answer."""

from __future__ import annotations

import pytest

from pintuan.reach.pages.rendering import redirect


@pytest.mark.parametrize(
    ("location", "sent"),
    [
        ("/g/k7mq3xw9bd?lang=fr&invite=a-b_c#join", "/g/k7mq3xw9bd?lang=fr&invite=a-b_c#join"),
        ("/g/\r\nX: y#join", "/g/%0D%0AX:%20y#join"),
        ("/g/漢", "/g/%E6%BC%A2"),
        ("/g/\0", "/g/%00"),
        ("/g/a%20b", "/g/a%20b"),
    ],
)
def test_a_location_holds_only_what_a_url_may(location: str, sent: str) -> None:
    assert redirect(location).headers["location"] == sent

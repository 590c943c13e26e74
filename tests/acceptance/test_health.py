"""What a load balancer and an operator see."""

import httpx
import pytest

pytestmark = pytest.mark.anyio


async def test_a_process_whose_stores_answer_is_ready(api: httpx.AsyncClient) -> None:
    response = await api.get("/health/ready")

    assert response.status_code == 200
    assert response.json() == {"status": "ready"}


async def test_a_process_is_live(api: httpx.AsyncClient) -> None:
    response = await api.get("/health/live")

    assert response.status_code == 200
    assert response.json() == {"status": "live"}

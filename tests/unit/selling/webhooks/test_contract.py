"""The document tells of every type of webhook, and of nothing that is not sent."""

from typing import get_args

from pintuan.selling.webhooks.contract import describe_webhooks
from pintuan.selling.webhooks.schemas import EventType, SentType
from tests.unit.http.documentation.test_document import document


def test_every_type_is_described_with_a_schema_that_there_is() -> None:
    described = document()["webhooks"]
    assert described == describe_webhooks()
    assert set(described) == set(get_args(EventType)) == set(get_args(SentType)) - {"ping"}
    for item in described.values():
        schema = item["post"]["requestBody"]["content"]["application/json"]["schema"]
        name = schema["properties"]["data"]["$ref"].rpartition("/")[2]
        assert name in document()["components"]["schemas"]

"""Secrets and signatures are what the Standard Webhooks specification says."""

from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from pintuan.base.keyring import Keyring
from pintuan.base.outgoing.signing import SECRET_PREFIX, new_secret, seal, signed_headers, unseal

BODY = '{"type":"ping","text":"café"}'.encode()
FORMER = "a key that seals secrets in tests and nowhere else"


def now_s() -> int:
    return int(time.time())


def test_a_secret_has_the_form_of_the_specification_and_is_never_the_same() -> None:
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)) <= 64
    assert new_secret() != secret


def test_each_of_two_live_secrets_verifies_and_another_does_not() -> None:
    new, former = new_secret(), new_secret()
    headers = signed_headers([new, former], "evt_1", BODY, now_s=now_s())
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (new, former):
        assert Webhook(secret).verify(BODY, headers)["type"] == "ping"
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


@pytest.mark.parametrize("change", ["webhook-id", "webhook-timestamp", "body"])
def test_nothing_that_is_signed_can_be_changed(change: str) -> None:
    secret = new_secret()
    headers = signed_headers([secret], "evt_1", BODY, now_s=now_s())
    changed = {"webhook-id": "evt_2", "webhook-timestamp": str(now_s() - 1)}
    body = BODY.replace(b"ping", b"pong") if change == "body" else BODY
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers | ({change: changed[change]} if change in changed else {}))


def test_the_specifications_own_example_is_signed_alike() -> None:
    headers = signed_headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        now_s=1614265330,
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_sealed_secret_is_read_under_any_accepted_key_and_no_other() -> None:
    secret = new_secret()
    sealed = seal(Keyring(FORMER), secret)
    assert secret.encode() not in sealed
    assert unseal(Keyring("the key that took its place, for a while", [FORMER]), sealed) == secret
    assert unseal(Keyring("a key that never knew of the one before"), sealed) is None

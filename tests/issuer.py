"""An issuer of tokens on this machine: it signs them, and serves its public keys over HTTP, well or badly."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

HOST = "127.0.0.1"
ISSUER = "https://accounts.shop.example"
AUDIENCE = "pintuan-of-shop"
LIFETIME_S = 600
DRIP_S = 0.005
DRIPPED_LENGTH = 1_000_000_000

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key under its name."""

    kid: str
    algorithm: str
    private: PrivateKey

    @classmethod
    def new(cls, kid: str, algorithm: str = "ES256") -> SigningKey:
        private: PrivateKey
        if algorithm == "RS256":
            private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        elif algorithm == "ES256":
            private = ec.generate_private_key(ec.SECP256R1())
        else:
            private = ed25519.Ed25519PrivateKey.generate()
        return cls(kid, algorithm, private)

    def public_jwk(self) -> dict[str, Any]:
        """The key as an issuer publishes it."""
        public = self.private.public_key()
        jwk: dict[str, Any]
        if isinstance(public, rsa.RSAPublicKey):
            jwk = RSAAlgorithm.to_jwk(public, as_dict=True)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            jwk = ECAlgorithm.to_jwk(public, as_dict=True)
        else:
            jwk = OKPAlgorithm.to_jwk(public, as_dict=True)
        return jwk | {"kid": self.kid, "use": "sig", "alg": self.algorithm}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """Signs whatever is given, also what no sane issuer would say."""
        return jwt.PyJWS().encode(
            json.dumps(claims).encode(),
            self.private,
            algorithm=self.algorithm,
            headers={"kid": self.kid} | header,
        )


def claims(now_s: float | None = None, **changes: Any) -> dict[str, Any]:
    """What a token of this issuer says, by this machine's clock unless another time is given."""
    issued_s = int(time.time() if now_s is None else now_s)
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann",
        "iat": issued_s,
        "exp": issued_s + LIFETIME_S,
    } | changes


@dataclass
class KeyServer:
    """Serves `keys`; other answers are made by changing `status`, `headers`, `body` or `drips`."""

    url: str = ""
    keys: list[SigningKey] = field(default_factory=list)
    status: str = "200 OK"
    headers: tuple[str, ...] = ()
    body: bytes | None = None
    asked: int = 0
    drips: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.released.set()

    def entry(self, **changes: Any) -> dict[str, Any]:
        """How an operator would trust this issuer."""
        return {"name": "shop", "issuer": ISSUER, "audience": AUDIENCE, "jwks_url": self.url} | changes

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            await self.released.wait()
            body = self.body
            if body is None:
                body = json.dumps({"keys": [key.public_jwk() for key in self.keys]}).encode()
            length = len(body) if not self.drips else DRIPPED_LENGTH
            lines = [f"HTTP/1.1 {self.status}", f"Content-Length: {length}", "Connection: close"]
            writer.write("\r\n".join([*lines, *self.headers, "", ""]).encode() + body)
            while self.drips:
                # Never so slow that a single read would take long, and never done.
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(DRIP_S)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            # Whoever asked does not want the answer any more.
            return
        finally:
            writer.close()


@asynccontextmanager
async def key_server(*keys: SigningKey) -> AsyncIterator[KeyServer]:
    """A running server of these keys, for the life of the block."""
    serving = KeyServer(keys=list(keys))
    server = await asyncio.start_server(serving.answer, HOST, 0)
    serving.url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}/keys.json"
    try:
        yield serving
    finally:
        serving.released.set()
        server.close()
        await server.wait_closed()

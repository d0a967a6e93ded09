"""Every request is signed, for this address and once (RFC 8555, 6.2 to 6.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from e2s.base.errors import Refusal
from e2s.base.http import Request
from e2s.base.wire import Document
from e2s.crypto import jose
from e2s.crypto.jose import key_of_jwk, read_object
from e2s.crypto.kinds import PublicKey
from e2s.security.acme.book import Account, Book
from e2s.security.acme.nonces import Nonces

JOSE: Final = "application/jose+json"
MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A request that was proven; no ``account`` where a key signed, no ``payload`` where it only looks."""

    url: str
    key: PublicKey
    account: Account | None
    payload: Document | None

    @property
    def holder(self) -> Account:
        """The account; raises :class:`Refusal` ``no-such-account``."""
        if self.account is None:
            raise Refusal("no-such-account", "this is asked by an account, not by a bare key")
        return self.account

    @property
    def said(self) -> Document:
        """The payload; raises :class:`Refusal` ``bad-payload`` where there is none."""
        if self.payload is None:
            raise Refusal("bad-payload", "this is asked with a payload")
        return self.payload

    def look(self) -> None:
        """Refuse a payload where something is only looked at (6.3)."""
        if self.payload is not None:
            raise Refusal("bad-payload", "what is only looked at is asked for without a payload")


def hear(book: Book, nonces: Nonces, request: Request) -> Heard:
    """The request in a signed message.

    Raises :class:`Refusal` ``wrong-content-type``, ``wrong-url``, ``bad-nonce``, ``bad-header``,
    ``no-such-account``, ``account-deactivated``, and those of the signature.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JOSE:
        raise Refusal("wrong-content-type", f"a request is of type {JOSE}")
    signed = jose.read(request.body, MAX_BYTES)
    header, url = signed.header, book.origin + request.path
    if header.get("url") != url:
        raise Refusal("wrong-url", "the message was signed for another address")
    nonces.take(header.get("nonce"))
    if ("jwk" in header) == ("kid" in header):
        raise Refusal("bad-header", "a message names its account or its key, not both (RFC 8555, 6.2)")
    account = None
    if "kid" in header:
        account = book.account(_account_number(book, header["kid"]))
        key = account.key
    else:
        key = key_of_jwk(header["jwk"])
    jose.check(signed, key)
    if account is not None and account.state != "valid":
        raise Refusal("account-deactivated", "this account is closed")
    payload = read_object(signed.payload) if signed.payload else None
    return Heard(url=url, key=key, account=account, payload=payload)


def _account_number(book: Book, kid: object) -> int:
    try:
        return book.number("account", kid)
    except Refusal as refusal:
        raise Refusal("no-such-account", "there is no account here of this address") from refusal

"""An account is a key (RFC 8555, 7.3); where the policy says so, an invitation stands behind it (7.3.4)."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import Document, b64u
from e2s.crypto.jose import check, check_mac, jwk_of, key_of_jwk, read_object, thumbprint
from e2s.crypto.jose.jws import read_document
from e2s.crypto.kinds import PublicKey
from e2s.security.acme import store
from e2s.security.acme.book import Account, Book, account_of
from e2s.security.acme.states import ACCOUNT, after
from e2s.security.enrolment.asking import Invited

_MAX_CONTACTS: Final = 10
_MAX_CONTACT: Final = 254
#: RFC 8555, 7.3: one address and no header fields (RFC 6068).
_MAIL: Final = re.compile(r"mailto:[A-Za-z0-9.!#$&'*+/=^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,180}", re.ASCII)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):.*", re.ASCII | re.DOTALL)
_ORDERS_AT_ONCE: Final = 100


def create(book: Book, key: PublicKey, payload: Document, url: str, client: str = "") -> tuple[Account, bool]:
    """The account of a key, and whether it is new (7.3, 7.3.1).

    Raises :class:`Refusal` ``no-such-account``, ``account-deactivated``, ``terms-not-agreed``,
    ``bad-contact``, ``contact-not-supported``, ``no-external-account``, and as the binding is wrong.
    """
    named = thumbprint(key)
    known = _known(book, named)
    if known is not None:
        return known, False
    if payload.get("onlyReturnExisting") is True:
        raise Refusal("no-such-account", "this key has no account here")
    if book.policy.terms and payload.get("termsOfServiceAgreed") is not True:
        raise Refusal("terms-not-agreed", "the terms of service are agreed to first", terms=book.policy.terms)
    contacts = read_contacts(payload.get("contact", []))
    reference = _bound_to(book, payload.get("externalAccountBinding"), key, url, client)

    def add(connection: sa.Connection) -> sa.Row[Any]:
        if store.account_of_key(connection, named) is None:
            values = {
                "id": b64u(book.random(16)),
                "jwk": store.kept(jwk_of(key)),
                "thumbprint": named,
                "state": "valid",
                "contacts": store.kept(contacts),
                "reference": reference,
                "at": format_instant(book.now()),
            }
            n = store.add_account(connection, values)
            book.event(
                connection, "acme.account", {"account": n, "key": named, "invitation": reference or None}
            )
        return _there(store.account_of_key(connection, named))

    return account_of(book.together.write(add)), True


def _known(book: Book, named: str) -> Account | None:
    with book.database.glance() as connection:
        row = store.account_of_key(connection, named)
    if row is None:
        return None
    if row.state != "valid":
        raise Refusal("account-deactivated", "the account of this key is closed")
    return account_of(row)


def _bound_to(book: Book, binding: object, key: PublicKey, url: str, client: str) -> str:
    """The reference of the invitation that binds the account (7.3.4); empty where none is asked for."""
    if binding is None:
        if book.policy.external_account:
            raise Refusal("no-external-account", "an account here is bound to an invitation")
        return ""
    signed = read_document(binding)
    if signed.header.get("url") != url or "nonce" in signed.header:
        raise Refusal("wrong-url", "the binding is for another address, or has a nonce")
    reference = signed.header.get("kid")
    if not isinstance(reference, str) or not 0 < len(reference) <= 64 or not reference.isprintable():
        raise Refusal("no-such-invitation", "the binding names no invitation")
    try:
        check_mac(signed, book.desk.secret(reference))
    except Refusal as refusal:
        if refusal.rule == "bad-mac":
            book.desk.wrong(reference, client=client)
        raise
    _check_open(book, reference)
    if thumbprint(key_of_jwk(read_object(signed.payload))) != thumbprint(key):
        raise Refusal("foreign-key", "the invitation binds another key than the account's")
    return reference


def _check_open(book: Book, reference: str) -> None:
    """Refuse an invitation that invites nobody any more: ``invitation-used``, ``-over``, ``-withdrawn``.

    That it invites to this door only, or gives no names but what is proven here, is no fault.
    """
    try:
        book.desk.offer(Invited(reference=reference))
    except Refusal as refusal:
        if refusal.rule.startswith("invitation-"):
            raise


def update(book: Book, account: Account, payload: Document | None) -> Document:
    """Change contacts or close the account (7.3.2, 7.3.6); the account as it is then."""
    if payload:
        wanted = payload.get("status")
        if wanted not in {None, "valid", "deactivated"}:
            raise Refusal("wrong-state", "an account can only be deactivated")
        contacts = read_contacts(payload["contact"]) if "contact" in payload else None

        def change(connection: sa.Connection) -> None:
            if contacts is not None:
                store.change_account(connection, account.n, contacts=store.kept(contacts))
                book.event(connection, "acme.account-changed", {"account": account.n})
            if wanted == "deactivated":
                state = after(ACCOUNT, _there(store.account(connection, account.n)).state, "deactivate")
                store.change_account(connection, account.n, state=state)
                book.event(connection, "acme.account-closed", {"account": account.n})

        book.together.write(change)
        book.forget(account.n)
    return shown(book, account.n)


def shown(book: Book, n: int) -> Document:
    """An account as its holder sees it (7.1.2)."""
    with book.database.glance() as connection:
        row = _there(store.account(connection, n))
    return {
        "status": row.state,
        "contact": msgspec.json.decode(row.contacts),
        "orders": f"{book.url('account', n)}/orders",
    }


def orders(book: Book, account: Account, cursor: int) -> tuple[Document, int]:
    """An account's orders (7.1.2.1), and behind which the next ones are, or 0."""
    with book.database.glance() as connection:
        numbers = store.orders(connection, account.n, cursor, _ORDERS_AT_ONCE)
    more = numbers[-1] if len(numbers) == _ORDERS_AT_ONCE else 0
    return {"orders": [book.url("order", n) for n in numbers]}, more


def change_key(book: Book, account: Account, payload: Document | None, url: str) -> None:
    """Give the account another key (7.3.5): the old one signs outside, the new one inside.

    Raises :class:`Refusal` ``old-key`` where the inner message is not about this account and its key,
    ``key-in-use``, and as either signature is wrong.
    """
    signed = read_document(payload)
    if signed.header.get("url") != url or "nonce" in signed.header or "kid" in signed.header:
        raise Refusal("wrong-url", "the inner message is for another address, or has a nonce or kid")
    key = key_of_jwk(signed.header.get("jwk"))
    check(signed, key)
    said = read_object(signed.payload)
    old = said.get("oldKey")
    if (
        said.get("account") != book.url("account", account.n)
        or thumbprint(key_of_jwk(old)) != account.thumbprint
    ):
        raise Refusal("old-key", "the inner message names another account, or a key that is not its own")
    named = thumbprint(key)

    def change(connection: sa.Connection) -> None:
        other = store.account_of_key(connection, named)
        if other is not None:
            where = book.url("account", other.n)
            raise Refusal("key-in-use", "another account has this key", location=where)
        store.change_account(connection, account.n, jwk=store.kept(jwk_of(key)), thumbprint=named)
        book.event(connection, "acme.key-changed", {"account": account.n, "key": named})

    book.together.write(change)
    book.forget(account.n)


def read_contacts(value: object) -> list[str]:
    """Contacts of an account; raises :class:`Refusal` ``bad-contact`` or ``contact-not-supported``."""
    if not isinstance(value, list) or len(value) > _MAX_CONTACTS:
        raise Refusal("bad-contact", "contacts are a list of at most ten")
    for one in value:
        if not isinstance(one, str) or len(one) > _MAX_CONTACT:
            raise Refusal("bad-contact", "a contact is a URL of a fair length")
        scheme = _SCHEME.fullmatch(one)
        if scheme and scheme[1].lower() != "mailto":
            raise Refusal("contact-not-supported", "contacts are mail addresses", scheme=scheme[1][:16])
        if not _MAIL.fullmatch(one):
            raise Refusal("bad-contact", "a contact is one mail address")
    return value


def _there(row: sa.Row[Any] | None) -> sa.Row[Any]:
    if row is None:
        raise Refusal("no-such-account", "there is no account here of this address")
    return row

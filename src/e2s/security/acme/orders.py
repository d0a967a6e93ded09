"""An order asks for one certificate over hosts that its account has proven (RFC 8555, 7.4).

What was asked is committed by the desk before anything is signed; the order is settled once the desk has
answered.  A kill in between leaves it ready: the client finalises again, and the desk answers as it did.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from e2s.base.errors import E2SError, Fact, Refusal, Unreachable
from e2s.base.instants import format_instant
from e2s.base.wire import Document, b64u, unb64u
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.crypto.pem import armoured
from e2s.security.acme import problems, renewal, store
from e2s.security.acme.book import DOOR, Account, Book, controls
from e2s.security.acme.identifiers import Identifier, check_request, read_identifiers
from e2s.security.acme.states import ORDER, after, order_act
from e2s.security.acme.validation import KINDS
from e2s.security.certificates.possession import MAX_REQUEST_BYTES
from e2s.security.enrolment.asking import Asked, Issued, Pending

_TOKEN_BYTES: Final = 32
#: Refusals after which the very order never leads to a certificate: another one may.
_FINAL: Final = frozenset({"other-request"})


def place(book: Book, account: Account, payload: Document) -> sa.Row[Any]:
    """A new order (7.4).

    Raises :class:`Refusal` as the identifiers, the end or what is replaced are wrong, ``too-many-pending``,
    and, for hosts not proven yet, ``host-not-permitted`` and whatever else the desk would refuse.
    """
    identifiers = read_identifiers(payload.get("identifiers"))
    if "notBefore" in payload:
        raise Refusal("bad-start", "a certificate begins when it is issued")
    not_after = _read_end(payload["notAfter"]) if "notAfter" in payload else None
    now = book.now()
    named = payload.get("replaces", "")
    with book.database.glance() as connection:
        standing = [_standing(connection, account, one, now) for one in identifiers]
    if None in standing:
        _check_invited(book, account, identifiers)

    def add(connection: sa.Connection) -> sa.Row[Any]:
        if named:
            renewal.check_replaced(connection, account, named, identifiers)
        numbers = [
            known or _wanted(book, connection, account, one, now)
            for known, one in zip(standing, identifiers, strict=True)
        ]
        values: dict[str, object] = {
            "account": account.n,
            "identifiers": store.kept(identifiers),
            "authorisations": store.kept(numbers),
            "not_after": "" if not_after is None else format_instant(not_after),
            "expires": format_instant(now + book.lifetimes.order),
            "replaces": named,
        }
        act = order_act("pending", _states(connection, numbers, now), lapsed=False)
        n = store.add_order(
            connection, {**values, "state": after(ORDER, "pending", act) if act else "pending"}
        )
        facts: dict[str, Fact] = {"order": n, "account": account.n, "host": identifiers[0].value}
        book.event(connection, "acme.order", facts)
        return _own(connection, account, n)

    return book.together.write(add)


def _check_invited(book: Book, account: Account, identifiers: tuple[Identifier, ...]) -> None:
    """Refuse hosts that would not be certified, before anything is proven."""
    try:
        book.desk.offer(controls(account, tuple(one.value for one in identifiers)))
    except Refusal as refusal:
        if refusal.rule == "names-differ":
            said = "the account is not invited for all of these hosts"
            raise Refusal("host-not-permitted", said, **refusal.facts) from refusal
        raise


def _standing(connection: sa.Connection, account: Account, one: Identifier, now: datetime) -> int | None:
    return store.standing(connection, account.n, one.kind, one.value, "valid", format_instant(now))


def _wanted(book: Book, connection: sa.Connection, account: Account, one: Identifier, now: datetime) -> int:
    """A new authorisation for a host, with a challenge of each kind (7.1.4, 8)."""
    if store.pending(connection, account.n, format_instant(now)) >= book.lifetimes.most_pending:
        raise Refusal("too-many-pending", "too many hosts of this account wait to be proven")
    values = {
        "account": account.n,
        "kind": one.kind,
        "value": one.value,
        "state": "pending",
        "expires": format_instant(now + book.lifetimes.pending),
    }
    challenges = [
        {"kind": kind, "token": b64u(book.random(_TOKEN_BYTES)), "state": "pending"} for kind in KINDS
    ]
    return store.add_authorisation(connection, values, challenges)


def _states(connection: sa.Connection, numbers: list[int], now: datetime) -> tuple[str, ...]:
    """The states of authorisations as they are at ``now``."""
    instant = format_instant(now)
    return tuple(
        "expired" if row.state in {"pending", "valid"} and row.expires <= instant else row.state
        for row in store.authorisations(connection, numbers)
    )


def settled(book: Book, account: Account, n: int) -> sa.Row[Any]:
    """The order as it is now, once what happened to its authorisations is written down.

    Raises :class:`Refusal` ``not-found``, and ``not-yours`` where it is another account's.
    """
    now = book.now()
    with book.database.glance() as connection:
        row = _own(connection, account, n)
        act = _act(connection, row, now)
    if not act:
        return row

    def write(connection: sa.Connection) -> sa.Row[Any]:
        row = _own(connection, account, n)
        act = _act(connection, row, now)
        if act:
            state = after(ORDER, row.state, act)
            store.change_order(connection, n, state=state)
            if state == "invalid":
                book.event(connection, "acme.order-ended", {"order": n, "why": act}, outcome="refused")
        return _own(connection, account, n)

    return book.together.write(write)


def _own(connection: sa.Connection, account: Account, n: int) -> sa.Row[Any]:
    row = store.order(connection, n)
    if row is None:
        raise Refusal("not-found", "there is no such order")
    if row.account != account.n:
        raise Refusal("not-yours", "this order is another account's")
    return row


def _act(connection: sa.Connection, row: sa.Row[Any], now: datetime) -> str:
    if row.state not in {"pending", "ready"}:
        return ""
    states = _states(connection, store.numbers_of(row.authorisations), now)
    return order_act(row.state, states, lapsed=row.expires <= format_instant(now))


def finalise(book: Book, account: Account, n: int, payload: Document) -> sa.Row[Any]:
    """Have the order's certificate made for a PKCS #10 request (7.4); the order as it is then.

    Raises :class:`Refusal` ``order-not-ready``, ``names-differ``, ``account-key`` and other faults of the
    request, which leave the order ready, and whatever the desk refuses.
    """
    request = _read_request(payload)
    row = settled(book, account, n)
    if row.state in {"processing", "valid"}:
        # RFC 8555, 7.4 has it refused; who lost the answer to the first is better told what came of it
        return row
    if row.state != "ready":
        raise Refusal("order-not-ready", f"the order is {row.state}")
    identifiers = identifiers_of(row)
    check_request(request, identifiers)
    if spki_of(account.key) in request:
        raise Refusal("account-key", "the account's key is not certified (RFC 8555, 11.1)")
    asked = Asked(
        door=DOOR,
        transaction=_transaction(n),
        request=request,
        shown=controls(account, tuple(one.value for one in identifiers)),
        not_after=datetime.fromisoformat(row.not_after) if row.not_after else None,
    )
    try:
        made = book.desk.ask(asked)
    except Unreachable:
        return _write(book, account, n, ("finalised",))
    except Refusal as refusal:
        if refusal.rule in _FINAL:
            _write(book, account, n, ("finalised", "declined"), refusal)
        raise
    return _became(book, account, n, made, ("finalised",))


def _transaction(n: int) -> bytes:
    return b"order:%d" % n


def polled(book: Book, account: Account, n: int) -> sa.Row[Any]:
    """The order; what waited for an officer or the CA is asked for again (7.4: "processing")."""
    row = settled(book, account, n)
    if row.state != "processing":
        return row
    shown = controls(account, tuple(one.value for one in identifiers_of(row)))
    try:
        made = book.desk.poll(DOOR, _transaction(n), shown)
    except Unreachable:
        return row
    except Refusal as refusal:
        return _write(book, account, n, ("declined",), refusal)
    return _became(book, account, n, made, ())


def _became(
    book: Book, account: Account, n: int, made: Issued | Pending, acts: tuple[str, ...]
) -> sa.Row[Any]:
    if isinstance(made, Pending):
        return _write(book, account, n, acts)
    return _write(book, account, n, (*acts, "issued"), made=made)


def _write(
    book: Book,
    account: Account,
    n: int,
    acts: tuple[str, ...],
    refusal: E2SError | None = None,
    made: Issued | None = None,
) -> sa.Row[Any]:
    """Carry out ``acts`` on the order unless another thread did, with what came of it."""
    values: dict[str, object] = {}
    facts: dict[str, Fact] = {"order": n, "account": account.n}
    if refusal is not None:
        values["error"] = store.kept(problems.described(refusal))
        facts["rule"] = refusal.rule
    if made is not None:
        serial = f"{Certificate.read(made.certificate).serial:x}"
        values |= {"certificate": made.certificate, "serial": serial}
        facts["serial"] = serial

    def write(connection: sa.Connection) -> sa.Row[Any]:
        row = _own(connection, account, n)
        state = row.state
        for act in acts:
            if (state, act) in ORDER:
                state = ORDER[state, act]
        if state != row.state:
            if made is not None:
                values["chain"] = book.chain(connection, made.chain)
            store.change_order(connection, n, state=state, **values)
            outcome = "refused" if state == "invalid" else "done"
            kind = {"valid": "acme.certificate", "invalid": "acme.order-ended"}.get(state, "acme.finalised")
            book.event(connection, kind, facts, outcome=outcome)
        return _own(connection, account, n)

    return book.together.write(write)


def certificate(book: Book, account: Account, n: int) -> bytes:
    """The certificate of an order and its issuers, PEM (7.4.2); raises ``not-found``."""
    with book.database.glance() as connection:
        row = _own(connection, account, n)
        if row.certificate is None:
            raise Refusal("not-found", "this order has no certificate")
        return armoured(row.certificate, b"CERTIFICATE") + book.issuers(connection, row.chain)


def identifiers_of(row: sa.Row[Any]) -> tuple[Identifier, ...]:
    """The identifiers of an order."""
    return tuple(Identifier(*one) for one in msgspec.json.decode(row.identifiers))


def shown(book: Book, row: sa.Row[Any]) -> Document:
    """An order as its holder sees it (7.1.3)."""
    document: Document = {
        "status": row.state,
        "expires": row.expires,
        "identifiers": [one.document() for one in identifiers_of(row)],
        "authorizations": [book.url("authorization", one) for one in store.numbers_of(row.authorisations)],
        "finalize": f"{book.url('order', row.n)}/finalize",
    }
    if row.not_after:
        document["notAfter"] = row.not_after
    if row.replaces:
        document["replaces"] = row.replaces
    if row.certificate is not None:
        document["certificate"] = book.url("certificate", row.n)
    if row.error:
        document["error"] = msgspec.json.decode(row.error)
    return document


def _read_end(value: object) -> datetime:
    """RFC 3339, to the second; raises :class:`Refusal` ``bad-end``."""
    try:
        at = datetime.fromisoformat(str(value)[:40])
        return datetime.fromisoformat(format_instant(at))
    except (ValueError, OverflowError) as error:
        raise Refusal("bad-end", "an instant is written as RFC 3339 does") from error


def _read_request(payload: Document) -> bytes:
    text = payload.get("csr")
    if not isinstance(text, str) or len(text) > 2 * MAX_REQUEST_BYTES:
        raise Refusal("bad-csr", "a request is PKCS #10 in base64url, of a fair length")
    return unb64u(text)

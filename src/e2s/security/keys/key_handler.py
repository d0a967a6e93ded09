"""The merchant's keys stand in a component of their own that knows who asks, and for what (figure 6.5).

A key is used only for the authenticated component, and only on the types of document, that the table
names; each use is one event in a transaction of its own, durable before anything is released.  What
is signed is exactly the octets handed over, so the asker's stored intent and the act are one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Fact, Refusal
from e2s.base.events import Event
from e2s.base.instants import Clock, parse_instant
from e2s.base.outbox import Outbox, outbox_table
from e2s.base.wire import Document, b64u, unb64u
from e2s.crypto.acts import MAX_OVER, digest_id, sign_act
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms import open_sealed
from e2s.crypto.ports import Opener, Signer

MAX_REQUEST_BYTES = 2 * 1024 * 1024

TABLES = sa.MetaData()
OUTBOX = Outbox(outbox_table(TABLES))


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What one component may do: types of document by signing key, and the agreement keys it may use."""

    sign: Mapping[str, frozenset[str]]
    open: frozenset[str] = frozenset()


def _types(*names: str) -> frozenset[str]:
    return frozenset(f"e2s/1/{name}" for name in names)


#: Purchasing signs as merchant, payment for payments, the catalogue for catalogues; outside nothing.
GRANTS: Mapping[str, Grant] = {
    "purchasing": Grant(
        sign={"merchant": _types("login-answer", "offer", "confirm", "void", "delivery")},
        open=frozenset({"merchant-agreement"}),
    ),
    "payment": Grant(
        sign={"merchant-payment": _types("pinit", "auth", "pres", "capreq", "authrev", "cancel")},
        open=frozenset({"payment-agreement"}),
    ),
    "catalogue": Grant(sign={"catalogue": _types("catalogue", "list")}),
}


class KeyHandler:
    """The component: link doors ``/certificates``, ``/sign`` and ``/open``.

    ``roles`` maps the name of a linked component to its place in :data:`GRANTS`; a peer without a
    place may do nothing.
    """

    def __init__(
        self,
        *,
        store: Database,
        signers: Mapping[str, Signer],
        openers: Mapping[str, Opener],
        roles: Mapping[str, str],
        clock: Clock,
        component: str,
        grants: Mapping[str, Grant] = GRANTS,
    ) -> None:
        """``signers`` and ``openers`` by label; ``store`` is opened on :data:`TABLES`."""
        self.store = store
        self._signers = dict(signers)
        self._openers = dict(openers)
        self._roles = dict(roles)
        self._grants = grants
        self._clock = clock
        self._component = component

    @property
    def doors(self) -> Mapping[str, Callable[[str, bytes], bytes]]:
        """The link doors by path."""
        return {"/certificates": self.certificates, "/sign": self.sign, "/open": self.open}

    def tick(self) -> None:
        """Nothing here waits."""

    def close(self) -> None:
        """Give the database back."""
        self.store.close()

    def certificates(self, peer: str, _body: bytes) -> bytes:
        """The certificates and chains of the keys that ``peer`` may use."""
        grant = self._grant(peer)
        held: dict[str, list[Certificate]] = {}
        for label in grant.sign:
            if label in self._signers:
                held[label] = [self._signers[label].certificate, *self._signers[label].chain]
        for label in grant.open:
            if label in self._openers:
                held[label] = [self._openers[label].certificate]
        return wire.encode(
            {"keys": {label: [b64u(one.der) for one in found] for label, found in held.items()}}
        )

    def sign(self, peer: str, body: bytes) -> bytes:
        """The act of ``key`` on exactly ``document`` over the acts in ``over``."""
        with self._refusals(peer, "key.sign"):
            asked = _asked(body, {"key", "document", "over"})
            label = _text(asked["key"])
            if label not in self._grant(peer).sign:
                raise _wrong_component(peer, label)
            octets = unb64u(_text(asked["document"]))
            document = wire.decode(octets)
            kind = _text(document.get("type"))
            if kind not in self._grant(peer).sign[label]:
                raise Refusal(
                    "key-handler-wrong-type", "the key does not sign documents of this type", key=label
                )
            over = _octets_list(asked["over"])
            signer = self._signer(label)
            if document.get("from") != signer.certificate.id:
                raise Refusal(
                    "wrong-certificate", "the document is not from this key's certificate", key=label
                )
            at = parse_instant(_text(document.get("at")))
            act = sign_act(document, over, signer, at)
        self._record("key.sign", "done", peer=peer, key=label, type=kind, document=digest_id(octets))
        return act

    def open(self, peer: str, body: bytes) -> bytes:
        """Content type and content of an envelope to ``key``."""
        with self._refusals(peer, "key.open"):
            asked = _asked(body, {"key", "envelope"})
            label = _text(asked["key"])
            if label not in self._grant(peer).open:
                raise _wrong_component(peer, label)
            opener = self._openers.get(label)
            if opener is None:
                raise Refusal("no-such-key", "there is no key of this label", key=label)
            envelope = unb64u(_text(asked["envelope"]))
            kind, content = open_sealed(envelope, opener)
        self._record("key.open", "done", peer=peer, key=label, envelope=digest_id(envelope))
        return wire.encode({"type": kind, "content": b64u(content)})

    def _grant(self, peer: str) -> Grant:
        grant = self._grants.get(self._roles.get(peer, ""))
        if grant is None:
            raise Refusal("key-handler-wrong-component", "this component may use no key", component=peer)
        return grant

    def _signer(self, label: str) -> Signer:
        signer = self._signers.get(label)
        if signer is None:
            raise Refusal("no-such-key", "there is no key of this label", key=label)
        return signer

    @contextmanager
    def _refusals(self, peer: str, kind: str) -> Iterator[None]:
        """A refusal of a known component is an event too."""
        try:
            yield
        except Refusal as refusal:
            self._record(kind, "refused", peer=peer, rule=refusal.rule)
            raise

    def _record(self, kind: str, outcome: str, **facts: Fact) -> None:
        at = self._clock.now()
        event = Event(kind=kind, at=at, component=self._component, outcome=outcome, facts=facts)
        with self.store.transaction() as connection:
            OUTBOX.sink(connection).append(event)


def _wrong_component(peer: str, label: str) -> Refusal:
    return Refusal(
        "key-handler-wrong-component", "this component may not use this key", component=peer, key=label
    )


def _asked(body: bytes, members: set[str]) -> Document:
    asked = wire.decode(body, MAX_REQUEST_BYTES)
    if set(asked) != members:
        raise Refusal("bad-request", "the request has other members", expected=" ".join(sorted(members)))
    return asked


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refusal("bad-request", "a member is text")
    return value


def _octets_list(value: Any) -> list[bytes]:
    if not isinstance(value, list) or len(value) > MAX_OVER:
        raise Refusal("bad-request", "an act is over a list of at most four others")
    return [unb64u(_text(one)) for one in value]


class AskLink(Protocol):
    """Port: an authenticated link to one component (:class:`e2s.network.sessions.link.Link`)."""

    def ask(self, path: str, body: bytes) -> bytes:
        """The peer's answer; raises :class:`Refusal` in its words, ``Unreachable`` when there is none."""


class KeyClient:
    """A component's end: what its keys are, and what they do on request."""

    def __init__(self, link: AskLink) -> None:
        """``link`` leads to the key handler."""
        self._link = link
        self._held: dict[str, tuple[Certificate, ...]] | None = None
        self._lock = threading.Lock()

    def certificate(self, key: str) -> Certificate:
        """The certificate of ``key``; raises :class:`Refusal` ``no-such-key``."""
        return self._chain(key)[0]

    def chain(self, key: str) -> tuple[Certificate, ...]:
        """The issuers of the key's certificate, nearest first, without the root."""
        return self._chain(key)[1:]

    def sign_document(self, key: str, document: Document, over: Sequence[bytes] = ()) -> bytes:
        """The act of ``key`` on ``document`` over the acts ``over``."""
        return self.sign_octets(key, wire.encode(document), over)

    def sign_octets(self, key: str, octets: bytes, over: Sequence[bytes] = ()) -> bytes:
        """The act of ``key`` on exactly the canonical ``octets``."""
        asked = {"key": key, "document": b64u(octets), "over": [b64u(one) for one in over]}
        return self._link.ask("/sign", wire.encode(asked))

    def open(self, key: str, envelope: bytes) -> tuple[str, bytes]:
        """Content type and content of an envelope to ``key``; raises the refusals of opening."""
        answer = self._link.ask("/open", wire.encode({"key": key, "envelope": b64u(envelope)}))
        opened = wire.decode(answer, MAX_REQUEST_BYTES)
        return _text(opened.get("type")), unb64u(_text(opened.get("content")))

    def _chain(self, key: str) -> tuple[Certificate, ...]:
        with self._lock:
            if self._held is None:
                answer = wire.decode(self._link.ask("/certificates", wire.encode({})), MAX_REQUEST_BYTES)
                self._held = {
                    label: tuple(Certificate.read(unb64u(_text(one))) for one in found)
                    for label, found in answer["keys"].items()
                }
        found = self._held.get(key)
        if not found:
            raise Refusal("no-such-key", "the key handler has no key of this label for us", key=key)
        return found

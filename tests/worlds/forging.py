"""Messages are altered on their way by somebody who holds every key: opened, changed, signed and sealed again.

A :class:`Way` names where an act of one type travels and whose key signs it.  :class:`Tamper` meets the act
there once and puts another in its place; everything before and after is what the parties really send.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeAlias

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.http import Handler, Request, Response
from e2s.base.instants import parse_instant
from e2s.base.wire import b64u, unb64u
from e2s.client.wallet.desk import Line
from e2s.commerce.bankcard import documents as bankcard
from e2s.commerce.payment import documents as payment
from e2s.commerce.purchasing import documents as purchasing
from e2s.crypto import oids
from e2s.crypto.acts import Act, read_act, read_parcel, write_content, write_parcel
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms import open_sealed, seal, sign
from e2s.crypto.forms import Form
from e2s.crypto.ports import Opener, Signer
from e2s.network.sessions.login import ANSWER_FORM, LOGIN_FORM
from e2s.security.timestamping.client import StampClient
from tests.worlds.whole import Whole

Change: TypeAlias = Callable[[Act], bytes]
Document: TypeAlias = dict[str, Any]
FRESH = {"buyer", "card", "manager"}


FORMS: dict[str, Form] = {
    form.type.rpartition("/")[2]: form
    for form in (
        *purchasing.FORMS.values(),
        *payment.FORMS.values(),
        *bankcard.FORMS.values(),
        LOGIN_FORM,
        ANSWER_FORM,
    )
}


@dataclass(frozen=True)
class Way:
    """Where an act travels: ``place`` is a shop's operation (in a session) or a component and its door."""

    signer: tuple[str, str]  # component and label of the key
    place: tuple[str, str]  # ("session", operation) or (component, door)
    answer: bool  # whether it travels in the answer
    sealed: tuple[str, str] | None = None  # component and label of the key that opens it
    parcel: str = ""  # it is the first item of a parcel of this type
    member: str = ""  # of the operation's arguments or answer


_M, _P = ("volt-keys", "merchant"), ("volt-keys", "merchant-payment")
_G, _I = ("acquirer-gateway", "gateway"), ("issuer-desk", "issuer")
_B, _C, _BA = ("alpha-wallet", "buyer"), ("alpha-wallet", "card"), ("alpha-wallet", "session")
_R = ("alpha-manager", "manager")
_TO_P, _TO_M = ("volt-keys", "payment-agreement"), ("volt-keys", "merchant-agreement")
_TO_G, _TO_I = ("acquirer-gateway", "gateway-agreement"), ("issuer-desk", "issuer-agreement")
_TO_R = ("alpha-manager", "manager-agreement")
_GATE, _DESK = "acquirer-gateway", "issuer-desk"

#: By the type's short name.
WAYS: Mapping[str, Way] = {
    "login": Way(_BA, ("volt-shop", "/session/login"), answer=False, sealed=_TO_M),
    "login-answer": Way(_M, ("volt-shop", "/session/login"), answer=True),
    "offer": Way(_M, ("session", "offer"), answer=True, member="offer"),
    "accept": Way(_B, ("session", "accept"), answer=False, member="act"),
    "confirm": Way(_M, ("session", "accept"), answer=True, member="confirm"),
    "pinit": Way(_P, ("session", "pinit"), answer=True, member="pinit"),
    "pay": Way(_C, ("session", "pay"), answer=False, member="parcel", parcel="e2s/1/preq"),
    "auth": Way(_P, (_GATE, "/payment/authorise"), answer=False, sealed=_TO_G, parcel="e2s/1/authreq"),
    "issue": Way(_G, (_DESK, "/payment/issue"), answer=False, sealed=_TO_I, parcel="e2s/1/authiss"),
    "decision": Way(_I, (_DESK, "/payment/issue"), answer=True),
    "authres": Way(_G, (_GATE, "/payment/authorise"), answer=True, sealed=_TO_P),
    "authres-refused": Way(_G, (_GATE, "/payment/authorise"), answer=True, sealed=_TO_P),
    "pres": Way(_P, ("session", "pay"), answer=True, member="pres"),
    "delivery": Way(_M, ("session", "status"), answer=True, member="delivery"),
    "capreq": Way(_P, (_GATE, "/payment/capture"), answer=False, sealed=_TO_G, parcel="e2s/1/capture"),
    "captured": Way(_I, (_DESK, "/payment/capture"), answer=True),
    "capres": Way(_G, (_GATE, "/payment/capture"), answer=True, sealed=_TO_P),
    "receipt": Way(_B, ("session", "receipt"), answer=False, member="act"),
    "void": Way(_M, ("session", "accept"), answer=True, member="void"),
    "inquiry": Way(_C, (_DESK, "/inquiry"), answer=False, sealed=_TO_I),
    "inquiry-answer": Way(_I, (_DESK, "/inquiry"), answer=True),
    "reverse": Way(_G, (_DESK, "/payment/reverse-unanswered"), answer=False),
    "authrev": Way(_P, (_GATE, "/payment/reverse"), answer=False, sealed=_TO_G),
    "reversed": Way(_I, (_DESK, "/payment/reverse"), answer=True),
    "revres": Way(_G, (_GATE, "/payment/reverse"), answer=True, sealed=_TO_P),
    "cancel": Way(_P, ("session", "status"), answer=True, member="cancel"),
    "controls": Way(_R, (_DESK, "/controls"), answer=False, sealed=_TO_I),
    "controls-taken": Way(_I, (_DESK, "/controls"), answer=True),
    "statement-request": Way(_R, (_DESK, "/statement"), answer=False, sealed=_TO_I),
    "statement": Way(_I, (_DESK, "/statement"), answer=True, sealed=_TO_R),
}


class Keys:
    """Every party's keys, from the files in their homes."""

    def __init__(self, whole: Whole) -> None:
        self.whole = whole
        self._pses: dict[str, Any] = {}

    def pse(self, component: str) -> Any:
        if component not in self._pses:
            self._pses[component] = self.whole.place(component).pse()
        return self._pses[component]

    def signer(self, component: str, label: str) -> Signer:
        phrase = self.whole.phrase(component) if label in FRESH else None
        return self.pse(component).signer(label, phrase)

    def opener(self, component: str, label: str) -> Opener:
        return self.pse(component).opener(label)

    def close(self) -> None:
        for pse in self._pses.values():
            pse.close()


def signed(document: Document, over: tuple[bytes, ...], signer: Signer, at: datetime) -> bytes:
    """What :func:`e2s.crypto.acts.sign_act` makes, without its checks."""
    return sign(write_content(wire.encode(document), over), oids.ACT, signer, at)


def resigned(act: Act, signer: Signer, change: Callable[[Document], None] = lambda _: None) -> bytes:
    """``act`` with its document changed, in the name of ``signer``."""
    document = deepcopy(act.document)
    document["from"] = signer.certificate.id
    change(document)
    try:
        at = parse_instant(document["at"])
    except Refusal:
        at = act.at
    return signed(document, act.over, signer, at)


class CrookedLine:
    """A session's line whose operations pass through ``tamper`` on both ways."""

    def __init__(self, line: Line, tamper: Tamper) -> None:
        self.line, self.tamper = line, tamper

    def ask(self, op: str, args: dict[str, Any], rid: str) -> dict[str, Any]:
        return self.tamper.operation(op, args, lambda changed: self.line.ask(op, changed, rid))

    def login(self) -> datetime:
        return self.line.login()

    def close(self) -> None:
        self.line.close()


class Tamper:
    """Puts ``change`` of the first act of type ``name`` in its place; ``hits`` shows that it was met."""

    def __init__(
        self, whole: Whole, keys: Keys, name: str, change: Change, wallet: str = "alpha-wallet"
    ) -> None:
        self.whole, self.keys, self.name, self.change, self.wallet = whole, keys, name, change, wallet
        self.way = WAYS[name]
        self.hits = 0
        self.trade = ""  # only acts of this trade, and those of none, are met
        self.stamper = StampClient(
            exchange=whole.exchange,
            authorities=whole.wallet().wallet.desk.authorities,
            trust=whole.wallet().wallet.desk.trust,
            clock=whole.clock,
            random=secrets.token_bytes,
        )

    # ------------------------------------------------------------------ on the network
    def __call__(self, origin: str, request: Request, deliver: Handler) -> Response:
        where, door = self.way.place
        if where == "session" or request.path != door:
            return deliver(request)
        if origin != self.whole.community.component(where).origin:
            return deliver(request)
        if not self.way.answer:
            return deliver(replace(request, body=self.octets(request.body)))
        response = deliver(request)
        return replace(response, body=self.octets(response.body)) if response.status == 200 else response

    def octets(self, body: bytes) -> bytes:
        if self.hits:
            return body
        if self.way.sealed is None:
            return self.changed(body)
        opener = self.keys.opener(*self.way.sealed)
        kind, content = open_sealed(body, opener)
        return seal(self.parcelled(content), kind, [opener.certificate], secrets.token_bytes)

    def parcelled(self, content: bytes) -> bytes:
        if not self.way.parcel:
            return self.changed(content)
        first, *others = read_parcel(content, self.way.parcel)
        return write_parcel(self.way.parcel, [self.changed(first), *others])

    def changed(self, octets: bytes) -> bytes:
        act = read_act(octets)
        if act.type != f"e2s/1/{self.name}" or act.document.get("trade", self.trade) != self.trade:
            return octets
        self.hits += 1
        return self.change(act)

    # ------------------------------------------------------------------ within a session
    def operation(
        self, op: str, args: dict[str, Any], ask: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        if self.hits or self.way.place != ("session", op):
            return ask(args)
        if not self.way.answer:
            octets = self.parcelled(unb64u(args[self.way.member]))
            return ask({**args, self.way.member: b64u(octets)})
        return self.answered(ask(args))

    def answered(self, answer: dict[str, Any]) -> dict[str, Any]:
        holder = answer.get("acts", answer)
        if self.way.member not in holder:
            return answer
        octets = self.changed(unb64u(holder[self.way.member]))
        forged = {**holder, self.way.member: b64u(octets)}
        if self.name == "confirm":
            forged.pop("stamp", None)  # it is over the other signature; the buyer gets her own
        if self.name == "delivery":
            forged["deliveryStamp"] = b64u(self.stamper.stamp(sha256(read_act(octets).signature).digest()))
        return {**answer, "acts": forged} if "acts" in answer else forged

    @contextmanager
    def in_place(self) -> Iterator[Tamper]:
        """Stand on the network and in the buyer's session for the block."""
        wallet = self.whole.wallet(self.wallet).wallet
        shop = wallet.desk.shops[0].name
        straight = wallet.line(shop)
        wallet._lines[shop] = CrookedLine(straight, self)
        self.whole.exchange.faults.append(self)
        try:
            yield self
        finally:
            self.whole.exchange.faults.remove(self)
            wallet._lines[shop] = straight


@contextmanager
def rules_raised() -> Iterator[list[str]]:
    """The rule of each refusal that anybody raises in the block, in order."""
    seen: list[str] = []
    plain = Refusal.__init__

    def noting(self: Refusal, rule: str, message: str = "", /, **facts: Any) -> None:
        seen.append(rule)
        plain(self, rule, message, **facts)

    Refusal.__init__ = noting  # type: ignore[method-assign,assignment]
    try:
        yield seen
    finally:
        Refusal.__init__ = plain  # type: ignore[method-assign]


def other_certificate(whole: Whole) -> Certificate:
    """A good certificate of the community that is none of those that a purchase of alpha's names."""
    return whole.home.certificates("beta-wallet", "buyer")[0]


def other(value: Any) -> Any:
    """Another value of the same form and, in writing, of the same length where there is one."""
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return [other(value[0]), *value[1:]]
    if isinstance(value, dict):
        first = min(value)
        return {**value, first: other(value[first])}
    if re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", value):
        return f"{int(value[:4]) + 1}{value[4:]}"
    if re.fullmatch(r"-?\d+\.\d+", value):
        return value[:-1] + str((int(value[-1]) + 1) % 10)
    start = len("sha-256:") if value.startswith("sha-256:") else 0
    return value[:start] + ("B" if value[start] == "A" else "A") + value[start + 1 :]


def members(name: str) -> list[str]:
    form = FORMS[name]
    return [*form.members, *form.optional]

"""The purchase protocol's honest roles, each rule of the documents a switch that can be left out.

Honest: buyer C, merchant M, gateway G, issuer I.  The intruder's own: buyer D, merchant N, gateway H.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from tests.model.search import Role, Step
from tests.model.terms import (
    NOTHING,
    Binding,
    Intruder,
    Term,
    atom,
    digest,
    doc,
    env,
    hole,
    key,
    pub,
    put,
    rec,
    sig,
)  # fmt: skip

C, D = atom("buyer", "C"), atom("buyer", "D")
M, N = atom("merchant", "M"), atom("merchant", "N")
G, H = atom("gateway", "G"), atom("gateway", "H")
I = atom("issuer", "I")  # noqa: E741  # the protocol's letter
BUYERS, MERCHANTS, GATEWAYS = (C, D), (M, N), (G, H)
TEN, MORE = atom("amount", "10"), atom("amount", "99")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the documents and their readers do; leaving one out must open an attack."""

    login_to: bool = True  # the login names the merchant
    answer_to: bool = True  # the login answer names buyer and login
    offer_to: bool = True  # the offer names the buyer
    nested: bool = True  # acceptance over offer, confirmation over acceptance
    ds_gateway: bool = True  # dual signature and PI name the gateway (SET's first defect)
    ds_merchant: bool = True  # dual signature and PI name the merchant
    ds_contract: bool = True  # dual signature and OI name the contract
    pi_holder: bool = True  # PI names the card-holder's certificate
    salt_oi: bool = True
    salt_pi: bool = True
    salt_contract: bool = True
    result_merchant: bool = True  # decision and answer name the merchant (SET's second defect)
    result_request: bool = True  # the answer names the request
    result_ds: bool = True  # decision and answer name the dual signature and its holder
    issuer_ds: bool = True  # the issuer verifies the dual signature itself
    auth_inside: bool = True  # the gateway's request to the issuer is over the merchant's
    pres_over: bool = True  # the payment result is over the gateway's answer
    decision_inside: bool = True  # the gateway's answer is over the issuer's decision
    once: bool = True  # issuer: one decision for (card-holder, xid)
    once_gateway: bool = True  # gateway: one request for (merchant, xid)
    agreement_named: bool = True  # PI is sealed only to the certificate of the gateway named
    inquiry_holder: bool = True  # the issuer's state is keyed by (card-holder, xid), the inquiry over DS
    answer_names: bool = True  # the answer to an inquiry names it
    line_items: bool = True  # the issuer compares the order at capture with the digest signed for
    declined_over: bool = True  # a declined result is over the issuer's decision
    one_live: bool = True  # issuer: one live hold for (card-holder, contract)

    def without(self, names: str) -> Rules:
        """These rules but those named, joined by ``+``."""
        off = set(names.split("+"))
        assert off <= {f.name for f in fields(self)}, names
        return Rules(**{f.name: getattr(self, f.name) and f.name not in off for f in fields(self)})


def if_(on: bool, term: Term) -> Term:
    return term if on else NOTHING


def pan(who: Term) -> Term:
    return atom("pan", who[2])


def pan_secret(who: Term) -> Term:
    return atom("pan secret", who[2])


def channel(buyer: Term, merchant: Term) -> Term:
    """The session between two; the search of the login shows what stands behind it."""
    return atom("session", buyer[2] + merchant[2])


# ------------------------------------------------------------------ login and contract
def login_buyer(rules: Rules, merchant: Term) -> Role:
    nonce, share = hole("nM", "nonce"), hole("gy", "pub")
    mine = atom("exponent", "x")
    login = doc("login", if_(rules.login_to, merchant), nonce, atom("nonce", "nB"), pub(mine))
    answer = doc("answer", if_(rules.answer_to, C), if_(rules.answer_to, digest(login)), share)
    agreed = key(pub(mine), share, digest(doc("th", login, answer)), "c2s")
    return Role(name="C", steps={
        "start": [Step(to="sent", take=doc("page", merchant, nonce), send=(env(merchant, sig(C, login)),))],
        "sent": [Step(to="open", take=sig(merchant, answer),
                      events=(("commit", "key", C, merchant, agreed), ("run", "session", C, merchant, agreed)),
                      send=(rec(agreed, doc("ask", atom("order", "o1"))),))],
    })  # fmt: skip


def login_merchant(rules: Rules, number: int) -> Role:
    buyer, other, share = hole("b", "buyer"), hole("nB", "nonce"), hole("gx", "pub")
    nonce, mine = atom("nonce", f"nM{number}"), atom("exponent", f"y{number}")
    login = doc("login", if_(rules.login_to, M), nonce, other, share)
    answer = doc("answer", if_(rules.answer_to, buyer), if_(rules.answer_to, digest(login)), pub(mine))
    agreed = key(pub(mine), share, digest(doc("th", login, answer)), "c2s")
    return Role(name=f"M{number}", steps={
        "start": [Step(to="shown", send=(doc("page", M, nonce),))],
        "shown": [Step(to="answered", take=env(M, sig(buyer, login)),
                       events=(("run", "key", buyer, M, agreed),), send=(sig(M, answer),))],
        "answered": [Step(to="open", take=rec(agreed, doc("ask", hole("order", "order"))),
                          events=(("commit", "session", buyer, M, agreed),))],
    })  # fmt: skip


def _contract(
    rules: Rules, buyer: Term, merchant: Term, order: Term, amount: Term, salt: Term
) -> tuple[Term, ...]:
    offer = sig(merchant, doc("offer", if_(rules.offer_to, buyer), merchant, order, amount, salt))
    accept = sig(buyer, doc("accept", merchant, offer if rules.nested else NOTHING))
    confirm = sig(merchant, doc("confirm", buyer, accept if rules.nested else NOTHING))
    return offer, accept, confirm


def contract_buyer(rules: Rules, order: Term) -> Role:
    """On an open channel: what the signatures alone are worth."""
    amount, salt = hole("amount", "amount"), hole("salt", "salt")
    offer, accept, confirm = _contract(rules, C, M, order, amount, salt)
    facts = (C, M, order, amount)
    return Role(name=f"C.{order[2]}", steps={
        "start": [Step(to="accepted", take=offer,
                       events=(("commit", "offered", *facts), ("run", "accepted", *facts)), send=(accept,))],
        "accepted": [Step(to="contract", take=confirm, events=(("commit", "contract", *facts),))],
    })  # fmt: skip


def contract_merchant(rules: Rules, number: int, buyer: Term, order: Term, amount: Term) -> Role:
    offer, accept, confirm = _contract(rules, buyer, M, order, amount, atom("salt", f"sM{number}"))
    facts = (buyer, M, order, amount)
    return Role(name=f"M{number}", steps={
        "start": [Step(to="offered", events=(("run", "offered", *facts),), send=(offer,))],
        "offered": [Step(to="confirmed", take=accept,
                         events=(("commit", "accepted", *facts), ("run", "contract", *facts)), send=(confirm,))],
    })  # fmt: skip


# ------------------------------------------------------------------ payment
@dataclass(frozen=True, kw_only=True)
class Payment:
    """The documents of one payment, with holes for whatever a reader does not know."""

    rules: Rules
    buyer: Term
    merchant: Term
    gateway: Term
    cid: Term
    amount: Term
    xid: Term
    pan: Term
    secret: Term
    salt_pi: Term = ("?", "sPI", "salt")
    order: Term = ("?", "order", "order")
    salt_oi: Term = ("?", "sOI", "salt")
    oi_digest: Term = NOTHING

    @property
    def pi(self) -> Term:
        r = self.rules
        return doc("PI", if_(r.pi_holder, self.buyer), self.pan, self.secret, self.amount,
                   if_(r.ds_merchant, self.merchant), if_(r.ds_gateway, self.gateway), self.xid,
                   if_(r.salt_pi, self.salt_pi))  # fmt: skip

    @property
    def oi(self) -> Term:
        r = self.rules
        return doc(
            "OI",
            if_(r.ds_contract, self.cid),
            self.order,
            self.amount,
            self.xid,
            if_(r.salt_oi, self.salt_oi),
        )

    def ds(self, pi_digest: Term | None = None) -> Term:
        r = self.rules
        oi = digest(self.oi) if self.oi_digest == NOTHING else self.oi_digest
        return sig(self.buyer, doc("DS", if_(r.ds_merchant, self.merchant), if_(r.ds_gateway, self.gateway),
                                   if_(r.ds_contract, self.cid), self.amount, self.xid,
                                   digest(self.pi) if pi_digest is None else pi_digest, oi))  # fmt: skip

    def auth(self, ds: Term) -> Term:
        return sig(self.merchant, doc("auth", self.gateway, self.xid, self.cid, self.amount, ds))

    def names(self, ds: Term) -> tuple[Term, ...]:
        r = self.rules
        return (if_(r.result_merchant, self.merchant), if_(r.result_ds, self.buyer),
                if_(r.result_ds, digest(doc("of", ds))), self.xid, if_(r.ds_contract, self.cid), self.amount)  # fmt: skip

    def decision(self, ds: Term, result: str = "approved") -> Term:
        return sig(I, doc(result, *self.names(ds)))

    def answer(self, ds: Term, request: Term) -> Term:
        inside = self.decision(ds) if self.rules.decision_inside else NOTHING
        return sig(
            self.gateway, doc("authres", *self.names(ds), if_(self.rules.result_request, request), inside)
        )

    @property
    def facts(self) -> tuple[Term, ...]:
        return (self.buyer, self.merchant, self.gateway, self.cid, self.amount, self.xid)


def request_digest(auth: Term) -> Term:
    return digest(doc("request", auth))


def contract_of(rules: Rules, buyer: Term, merchant: Term, number: int = 1) -> tuple[Term, Term]:
    """A contract's order and its cid, over a salt that only its two parties know."""
    order = atom("order", f"o{number}")
    salt = if_(rules.salt_contract, atom("salt", f"sC{number}"))
    return order, digest(doc("contract", buyer, merchant, order, TEN, salt))


def payer(rules: Rules, merchant: Term, number: int = 1, *, asks: bool = False, again: bool = False) -> Role:
    """The card-holder C; ``asks`` inquires at the issuer, ``again`` pays anew after a refusal."""
    order, cid = contract_of(rules, C, merchant, number)
    steps: dict[str, list[Step]] = {}
    for attempt in (1, 2) if again else (1,):
        steps |= _attempt(
            rules, merchant, order, cid, number, attempt, asks=asks, again=again and attempt == 1
        )
    return Role(name=f"C{number}", steps=steps)


def _attempt(
    rules: Rules,
    merchant: Term,
    order: Term,
    cid: Term,
    number: int,
    attempt: int,
    *,
    asks: bool,
    again: bool,
) -> dict[str, list[Step]]:
    mark = f"{number}.{attempt}"
    session, mine = channel(C, merchant), atom("nonce", f"nC{mark}")
    gateway, other, to = (
        hole(f"g{attempt}", "gateway"),
        hole(f"nP{attempt}", "nonce"),
        hole(f"to{attempt}", "merchant"),
    )
    xid = digest(doc("xid", cid, mine, other))
    p = Payment(rules=rules, buyer=C, merchant=merchant, gateway=gateway, cid=cid, amount=TEN, xid=xid, pan=pan(C),
                secret=pan_secret(C), salt_pi=atom("salt", f"sPI{mark}"), order=order,
                salt_oi=atom("salt", f"sOI{mark}"))  # fmt: skip
    sealed_to = gateway if rules.agreement_named else to
    begin, sent, paying, end = (f"{s}{attempt}" for s in ("begin", "sent", "paying", "end"))
    steps = {
        begin: [Step(to=sent, send=(rec(session, doc("pinit", cid, mine)), cid))],
        sent: [Step(to=paying, take=rec(session, sig(merchant, doc("pinitres", C, cid, mine, other, gateway, sealed_to))),
                    events=(("run", "pay", *p.facts), ("run", "order", C, xid, order)),
                    send=(rec(session, doc("preq", p.ds(), p.oi, env(sealed_to, p.pi))), xid))],
        paying: _outcomes(rules, p, session, end, f"begin{attempt + 1}" if again else "", asks=asks),
    }  # fmt: skip
    if attempt == 1:
        steps["start"] = steps.pop(begin)
    if asks:
        inquiry = sig(C, doc("inquiry", p.ds()))
        answer = sig(I, doc("void", xid, if_(rules.answer_names, digest(inquiry))))
        steps["asking"] = [Step(to=end, take=answer, events=(("commit", "void", C, xid),))]
    return steps


def _outcomes(rules: Rules, p: Payment, session: Term, end: str, retry: str, *, asks: bool) -> list[Step]:
    request = hole("request", "hash of request")
    inside = p.answer(p.ds(), request) if rules.pres_over else NOTHING
    found = [Step(to=end, take=rec(session, sig(p.merchant, doc("pres", C, p.xid, inside))),
                  events=(("commit", "paid", *p.facts),))]  # fmt: skip
    if asks:
        inquiry = sig(C, doc("inquiry", p.ds()))
        found.append(Step(to="asking", events=(("run", "asked", C, p.xid),), send=(env(I, inquiry), p.xid)))
    if retry:
        because = p.decision(p.ds(), "declined") if rules.declined_over else NOTHING
        found.append(Step(to=retry, take=rec(session, sig(p.merchant, doc("refused", C, p.xid, because))),
                          events=(("commit", "declined", C, p.xid),)))  # fmt: skip
    return found


def seller(rules: Rules, buyer: Term, gateway: Term, number: int = 1) -> Role:
    """The payment component of the honest merchant M."""
    order, cid = contract_of(rules, buyer, M, number)
    session, mine, other = channel(buyer, M), atom("nonce", f"nP{number}"), hole("nC", "nonce")
    xid = digest(doc("xid", cid, other, mine))
    p = Payment(rules=rules, buyer=buyer, merchant=M, gateway=gateway, cid=cid, amount=TEN, xid=xid, pan=NOTHING,
                secret=NOTHING, order=order, salt_oi=if_(rules.salt_oi, hole("sOI", "salt")))  # fmt: skip
    ds = p.ds(hole("hPI", "hash of PI"))
    sealed, auth = hole("sealed", "env"), p.auth(ds)
    inside = p.answer(ds, request_digest(auth)) if rules.pres_over else NOTHING
    result = rec(session, sig(M, doc("pres", buyer, xid, inside)))
    return Role(name=f"M{number}", steps={
        "start": [Step(to="asked", take=rec(session, doc("pinit", cid, other)),
                       send=(rec(session, sig(M, doc("pinitres", buyer, cid, other, mine, gateway, gateway))), xid))],
        "asked": [Step(to="asking", take=rec(session, doc("preq", ds, p.oi, sealed)),
                       events=(("run", "asked for", *p.facts),), send=(env(gateway, doc("parcel", auth, sealed)),))],
        "asking": [Step(to="authorised", take=env(M, p.answer(ds, request_digest(auth))),
                        events=(("commit", "authorised", *p.facts),), send=(result,))],
    })  # fmt: skip


def _reader(rules: Rules, gateway: Term) -> Payment:
    """The documents as gateway and issuer read them."""
    return Payment(rules=rules, buyer=hole("c", "buyer"), merchant=hole("m", "merchant"), gateway=gateway,
                   cid=hole("cid", "hash of contract"), amount=hole("amount", "amount"), xid=hole("xid", "hash of xid"),
                   pan=hole("pan", "pan"), secret=hole("secret", "pan secret"), oi_digest=hole("hOI", "hash of OI"))  # fmt: skip


def _own_card(rules: Rules) -> Callable[[Binding], bool]:
    """The certificate commits to its holder's card alone (where PI says who the holder is)."""

    def own(b: Binding) -> bool:
        return not rules.pi_holder or (b["pan"], b["secret"]) == (pan(b["c"]), pan_secret(b["c"]))

    return own


def acquirer(rules: Rules, number: int = 1) -> Role:
    """The honest gateway G."""
    p = _reader(rules, G)
    ds = p.ds()
    auth = p.auth(ds)
    issue = sig(
        G, doc("issue", auth if rules.auth_inside else NOTHING, ds if rules.issuer_ds else NOTHING, *p.facts)
    )

    def again(binding: Binding, events: tuple[Any, ...]) -> bool:
        key_ = (binding["m"], binding["xid"])
        return rules.once_gateway and any(
            e[:2] == ("commit", "asked") and (e[3], e[7]) == key_ for e in events
        )

    return Role(name=f"G{number}", steps={
        "start": [Step(to="asked", take=env(G, doc("parcel", auth, env(G, p.pi))), when=_own_card(rules), unless=again,
                       events=(("commit", "ordered", *p.facts), ("commit", "asked", *p.facts)),
                       send=(env(I, doc("parcel", issue, p.pi)),))],
        "asked": [Step(to="answered", take=p.decision(ds), send=(env(p.merchant, p.answer(ds, request_digest(auth))),))],
    })  # fmt: skip


def bank(
    rules: Rules, number: int = 1, *, refuses: bool = False, charges: bool = False, voids: bool = False
) -> Role:
    """The issuing bank I, for one request; it looks after the card-holder C."""
    p = _reader(rules, hole("g", "gateway"))
    ds = p.ds()
    auth = p.auth(ds)
    issue = sig(
        p.gateway,
        doc("issue", auth if rules.auth_inside else NOTHING, ds if rules.issuer_ds else NOTHING, *p.facts),
    )

    def known(binding: Binding, events: tuple[Any, ...]) -> bool:
        answered = [e for e in events if e[:2] == ("commit", "hold")] + [
            e for e in events if e[0] == "refused"
        ]
        if rules.once and any((e[2], e[7]) == (binding["c"], binding["xid"]) for e in answered):
            return True
        if any(
            e[:2] == ("lasting", "void") and e[3] == binding["xid"] and e[2] in {binding["c"], NOTHING}
            for e in events
        ):
            return True
        holds_ = [e for e in events if e[:2] == ("commit", "hold")]
        return rules.one_live and any((e[2], e[5]) == (binding["c"], binding["cid"]) for e in holds_)

    take = env(I, doc("parcel", issue, p.pi))
    steps: dict[str, list[Step]] = {
        "start": [Step(to="held", take=take, when=_own_card(rules), unless=known,
                       events=(("run", "decided", *p.facts), ("commit", "card", p.buyer, p.pan),
                               ("commit", "hold", *p.facts)),
                       send=(p.decision(ds),))],
    }  # fmt: skip
    if refuses:
        steps["start"].append(Step(to="refused", take=take, when=_own_card(rules), unless=known,
                                   events=(("refused", "hold", *p.facts), ("run", "declined", p.buyer, p.xid)),
                                   send=(p.decision(ds, "declined"),)))  # fmt: skip
    if charges:
        lines, salt = hole("lines", "order"), hole("salt", "salt")
        opened = doc("OI", if_(rules.ds_contract, p.cid), lines, p.amount, p.xid, salt)
        capture = env(I, doc("capture", sig(p.merchant, doc("capreq", p.xid, p.amount)), opened))
        steps["held"] = [Step(to="captured", take=capture,
                              when=lambda b: not rules.line_items or b["hOI"] == digest(put(opened, b)),
                              events=(("commit", "order", p.buyer, p.xid, lines),))]  # fmt: skip
    if voids:
        steps["start"].append(_inquiry(rules))
    return Role(name=f"I{number}", steps=steps)


def _inquiry(rules: Rules) -> Step:
    """An inquiry about an unknown payment, after its time: a void that lasts."""
    asker, xid = hole("asker", "buyer"), hole("xid", "hash of xid")
    p = Payment(rules=rules, buyer=asker, merchant=hole("m", "merchant"), gateway=hole("g", "gateway"), amount=hole("amount", "amount"),
                cid=hole("cid", "hash of contract"), xid=xid, pan=NOTHING, secret=NOTHING, oi_digest=hole("hOI", "hash of OI"))  # fmt: skip
    inquiry = sig(asker, doc("inquiry", p.ds(hole("hPI", "hash of PI")) if rules.inquiry_holder else xid))

    def held(binding: Binding, events: tuple[Any, ...]) -> bool:
        who = {binding["asker"]} if rules.inquiry_holder else set(BUYERS)
        return any(e[:2] == ("commit", "hold") and e[7] == binding["xid"] and e[2] in who for e in events)

    void = doc("void", xid, if_(rules.answer_names, digest(inquiry)))
    kept = asker if rules.inquiry_holder else NOTHING
    return Step(to="voided", take=env(I, inquiry), unless=held, events=(("lasting", "void", kept, xid),),
                send=(sig(I, void),))  # fmt: skip


# ------------------------------------------------------------------ what the intruder begins with
def intruder(*more: Term, owns: Sequence[Term] = (D, N, H)) -> Intruder:
    """The dishonest parties' keys, cards and sessions, one value of his own of each kind, and ``more``."""
    own = [atom("private", a[2]) for a in owns]
    own += [pan(D), pan_secret(D), TEN, atom("order", "oE"), atom("nonce", "nE"), atom("exponent", "xE")]
    own += [atom("salt", "sE"), NOTHING, C, D, M, N, G, H, I, pub(atom("exponent", "xE"))]
    own += [channel(C, N), channel(D, M), channel(D, N)]
    labels = ("login answer page ask th offer accept confirm contract pinit pinitres preq PI OI DS auth parcel issue "
              "approved declined authres pres refused xid of request inquiry void capture capreq c2s")  # fmt: skip
    own += [atom("label", label) for label in labels.split()]
    return Intruder(frozenset()).hear(*own, *more)


def own_instructions(rules: Rules, xid: Term, cid: Term, gateway: Term) -> list[Term]:
    """Instructions that D could make for himself: what he sends through a merchant who cannot open them."""
    made = []
    for merchant in MERCHANTS:
        p = Payment(rules=rules, buyer=D, merchant=merchant, gateway=gateway, cid=cid, amount=TEN, xid=xid,
                    pan=pan(D), secret=pan_secret(D), salt_pi=atom("salt", "sE"))  # fmt: skip
        made += [p.pi, digest(p.pi), env(gateway, p.pi)]
    return made

"""Checks 16 to 21, 26 and 29: the acts belong together, and each party is the same throughout.

What is absent cannot contradict: a relation is checked where both its ends are in the bundle.
"""

from __future__ import annotations

from collections import defaultdict

from e2s.commerce.bankcard.exhibits import Exhibit, Exhibits, digests_of, key_of


def check_relations(exhibits: Exhibits) -> None:
    """Checks 16 to 18."""
    for exhibit in exhibits.acts.values():
        _check_over(exhibits, exhibit)
        _check_names(exhibits, exhibit)
        _check_readers(exhibits, exhibit)
        _check_trade(exhibits, exhibit)
    _check_contract(exhibits)


def _check_over(exhibits: Exhibits, exhibit: Exhibit) -> None:
    """16: an act is over acts of the types that its own type calls for."""
    rows = exhibit.part.over
    inner = tuple(one.kind for one in exhibit.inner)
    empty_allowed = exhibit.kind != "pres" or exhibit.document["result"] == "pending"
    if len(exhibit.act.over) != len(inner):
        return  # what could not be read is already noted
    if inner not in rows or (not inner and not empty_allowed):
        wanted = " or ".join(", ".join(row) or "nothing" for row in rows)
        exhibits.fail(16, exhibit.place, f"over {wanted}", ", ".join(inner) or "nothing")
        exhibit.good = False


def _check_names(exhibits: Exhibits, exhibit: Exhibit) -> None:
    """16: a member that names an act by ``#`` names the one inside, or one of its type in the bundle."""
    for member, kind in exhibit.part.names.items():
        named = exhibit.document.get(member)
        if named is None:
            continue
        inside = [one.act.id for one in exhibit.inner if one.kind == kind]
        candidates = inside or sorted(digests_of(exhibits.of(kind)))
        if candidates and named not in candidates and (inside or not _other_payment(exhibits, exhibit, kind)):
            exhibits.fail(16, f"{exhibit.place} {member}", " or ".join(candidates), named)
    if exhibit.kind == "delivery" and len(exhibit.inner) > 1:
        answer, signed = exhibit.inner[0], exhibit.inner[1]
        exhibits.compare(16, f"{exhibit.place} > pres ds", signed.act.id, answer.document.get("ds"))
    if exhibit.kind == "void" and exhibit.inner and "accept" not in exhibit.document:
        exhibits.fail(16, exhibit.place, exhibit.inner[0].act.id, "no acceptance named")


def _other_payment(exhibits: Exhibits, exhibit: Exhibit, kind: str) -> bool:
    """Whether the act belongs to an attempt to pay of which no act of ``kind`` is here."""
    xid = exhibit.document.get("xid")
    return xid is not None and not any(e.document.get("xid") == xid for e in exhibits.of(kind))


def _check_readers(exhibits: Exhibits, exhibit: Exhibit) -> None:
    """17: each who must act on it is named in ``to``; a card-holder's pseudonym does not name the buyer."""
    audience = set(exhibit.document["to"])
    for group in exhibit.part.readers:
        if "buyer" in group and not exhibits.names("buyer"):
            continue
        names = exhibits.names(*group)
        if names and not names & audience:
            exhibits.fail(17, exhibit.place, "to " + " or ".join(sorted(names)), " ".join(sorted(audience)))


def _check_trade(exhibits: Exhibits, exhibit: Exhibit) -> None:
    """18: the trade is the bundle's, and a payment's acts are about a payment that was ordered."""
    if exhibit.kind == "statement":
        return
    exhibits.compare(18, f"{exhibit.place} trade", exhibits.bundle.trade, exhibit.document.get("trade"))
    xid = exhibit.document.get("xid")
    ordered = {e.document["xid"] for e in exhibits.of("pay")}
    if xid is not None and ordered and xid not in ordered:
        exhibits.fail(18, f"{exhibit.place} xid", " or ".join(sorted(ordered)), xid)
    for one in exhibit.inner:
        inside = one.document.get("xid")
        if xid is not None and inside is not None:
            exhibits.compare(18, f"{one.place} xid", xid, inside)


def _check_contract(exhibits: Exhibits) -> None:
    """18: every act that names a contract names the one confirmed."""
    confirmed = sorted(digests_of(e for e in exhibits.of("confirm") if e.good))
    named = [(e.place, e.document["cid"]) for e in exhibits.acts.values() if "cid" in e.document]
    named += [(f"opened/{name}.json", held["cid"]) for name, held in exhibits.opened.items() if "cid" in held]
    right = confirmed or [cid for _, cid in named[:1]]
    for place, cid in named:
        if cid not in right:
            exhibits.fail(18, f"{place} cid", " or ".join(right), cid)


def check_parties(exhibits: Exhibits) -> None:
    """Checks 19 to 21."""
    _check_buyer(exhibits)
    _check_merchant(exhibits)
    _check_holder(exhibits)
    everybody = {name for e in exhibits.acts.values() for name in e.act.certificate.names}
    everybody |= {name for e in exhibits.acts.values() for name in e.document["to"]}
    if exhibits.acts and exhibits.bundle.party not in everybody:
        exhibits.fail(19, "manifest.json party", "a party to the acts", exhibits.bundle.party)


def _check_buyer(exhibits: Exhibits) -> None:
    """19: who accepts is whom the offer is made to, and of the organisation that it names."""
    for accept in exhibits.of("accept"):
        for offer in accept.inner:
            exhibits.compare(
                19, f"{accept.place} from", offer.document.get("buyer"), accept.act.certificate.id
            )
            organisation = accept.act.certificate.names[1:2]
            if organisation and organisation[0] not in offer.document["to"]:
                exhibits.fail(19, offer.place, f"to {organisation[0]}", " ".join(offer.document["to"]))
    organisations = {e.act.certificate.names[1:2] for e in exhibits.of("accept", "receipt")}
    if len(organisations) > 1:
        exhibits.fail(19, "receipt", "of the organisation that accepted", repr(sorted(organisations)))


def _check_merchant(exhibits: Exhibits) -> None:
    """20: offer, confirmation and delivery are one merchant's, and the payment key is that merchant's."""
    acts = [e for e in exhibits.acts.values() if e.part.role in {"merchant", "merchant-payment"}]
    first = next((e.name for e in acts if e.kind == "offer"), acts[0].name if acts else "")
    for exhibit in acts:
        exhibits.compare(20, f"{exhibit.place} signer", first, exhibit.name)


def _check_holder(exhibits: Exhibits) -> None:
    """21: the card-holder is certified under the bank that the dual signature names, which decides."""
    issuers = [e for e in exhibits.acts.values() if e.part.role == "issuer"]
    names = {e.name for e in issuers}
    if len(names) > 1:
        exhibits.fail(21, "issuer", "one issuer", " ".join(sorted(names)))
    for pay in exhibits.of("pay"):
        for name in names:
            if not pay.name.startswith(name + ":"):
                exhibits.fail(21, f"{pay.place} signer", f"a card-holder of {name}", pay.name)
    for inquiry in exhibits.of("inquiry"):
        for pay in inquiry.inner:
            same = pay.act.certificate.id, inquiry.act.certificate.id
            exhibits.compare(21, f"{inquiry.place} signer", same[0], same[1])


def check_payment_names(exhibits: Exhibits) -> None:
    """26: whoever answers for a payment names the holder, merchant and gateway of its dual signature."""
    orders = {pay.act.id: pay for pay in exhibits.of("pay")}
    for exhibit in exhibits.of("decision", "authres", "captured", "reversed", "authres-refused"):
        pay = orders.get(exhibit.document["ds"])
        if pay is not None:
            _compare_names(exhibits, exhibit, pay)
    for auth in exhibits.of("auth"):
        pay = orders.get(auth.document["ds"])
        if pay is not None:
            exhibits.compare(26, f"{auth.place} signer", pay.document["merchant"], auth.act.certificate.id)
    for authres in exhibits.of("authres"):
        if authres.inner:
            for member in ("holder", "merchant", "gateway", "cid", "xid", "ds", "result"):
                inner, outer = authres.inner[0].document.get(member), authres.document.get(member)
                exhibits.compare(26, f"{authres.place} {member}", inner, outer)
    for pres in exhibits.of("pres"):
        if pres.inner:
            inside = pres.inner[0].document.get("result")
            exhibits.compare(26, f"{pres.place} result", inside, pres.document["result"])


def _compare_names(exhibits: Exhibits, exhibit: Exhibit, pay: Exhibit) -> None:
    document, place = exhibit.document, exhibit.place
    exhibits.compare(26, f"{place} merchant", pay.document["merchant"], document["merchant"])
    if "gateway" in document:
        exhibits.compare(26, f"{place} gateway", pay.document["gateway"], document["gateway"])
        exhibits.compare(26, f"{place} holder", pay.act.certificate.id, document["holder"])
    signer = exhibit.act.certificate.id
    wanted = pay.document["gateway" if exhibit.part.role == "gateway" else "issuer"]
    exhibits.compare(26, f"{place} signer", wanted, signer)


def check_keys(exhibits: Exhibits) -> None:
    """29: two different acts under one key of idempotency show that their signer said two things."""
    under: defaultdict[tuple[object, ...], dict[str, Exhibit]] = defaultdict(dict)
    for exhibit in exhibits.acts.values():
        if exhibit.part.key and exhibit.good:
            under[key_of(exhibit)].setdefault(exhibit.act.id, exhibit)
    for key, acts in under.items():
        if len(acts) > 1:
            places = " and ".join(e.place for e in acts.values())
            found = f"{len(acts)} different acts signed by {key[0]}: equivocation"
            members = " and ".join(next(iter(acts.values())).part.key)
            exhibits.fail(29, places, f"one {key[1]} for one {members}", found)

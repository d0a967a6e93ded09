"""Only the issuer's signed word ends a payment: nested in the gateway's and the merchant's, naming them all.

What approves, declines or voids must name this dual signature, holder, merchant, gateway, contract and
amount; a merchant's *paid* alone, or another's approval, is refused (SET's defects, section 5).
"""

from __future__ import annotations

from e2s.base.errors import Refusal
from e2s.client.wallet.card import Issuer
from e2s.client.wallet.rules import Judge, Payment
from e2s.commerce.payment.documents import AUTHRES, DECISION, INQUIRY_ANSWER, PRES, REVERSED, REVRES
from e2s.commerce.payment.dual_signature import names_of, same_payment
from e2s.crypto.acts import Act

#: What a result of PRes is called as an event of the buyer's table; *pending* is none.
EVENTS = {"approved": "pres-approved", "declined": "pres-declined", "void": "pres-void", "pending": ""}


def check_pres(octets: bytes, payment: Payment, issuer: Issuer, judge: Judge) -> tuple[Act, str, Act | None]:
    """The merchant's answer, the event it is, and the issuer's decision in it.

    Raises ``decision-missing``, ``merchant-claims-approval`` and what :class:`Judge` and the payment's
    comparison raise.
    """
    pres = judge.act(octets, PRES, "merchant-payment", payment.merchant)
    names = names_of(payment.ds)
    same_payment(
        pres.document, {"xid": names["xid"], "ds": names["ds"], "trade": payment.ds.document["trade"]}
    )
    result = pres.document["result"]
    if result == "pending":
        return pres, "", None
    if not pres.over:
        raise Refusal("decision-missing", "the answer does not hold the gateway's and the issuer's words")
    authres, decision = check_authres(pres.inner(), payment, issuer, judge)
    if {authres.document["result"], decision.document["result"]} != {result}:
        raise Refusal("merchant-claims-approval", "merchant, gateway and issuer say different things")
    return pres, EVENTS[result], decision


def check_authres(act: Act, payment: Payment, issuer: Issuer, judge: Judge) -> tuple[Act, Act]:
    """The gateway's answer and the issuer's decision in it, both about exactly this dual signature."""
    authres = judge.act(act, AUTHRES, "gateway", _gateway(payment))
    _about(authres, payment)
    if authres.certificate.id != payment.ds.document["gateway"]:
        raise Refusal("set-gateway-swap", "another gateway answers than the payment names")
    if not authres.over:
        raise Refusal("gateway-invents-payment", "the gateway's answer does not hold the issuer's decision")
    return authres, check_decision(authres.inner(), payment, issuer, judge)


def check_decision(act: Act, payment: Payment, issuer: Issuer, judge: Judge) -> Act:
    """The issuer's decision about exactly this dual signature."""
    decision = judge.act(act, DECISION, "issuer", issuer.name)
    _about(decision, payment)
    approved = decision.document["result"] == "approved"
    if approved and not decision.document.keys() >= {"holdUntil", "claimUntil"}:
        raise Refusal("bad-document", "an approval says how long the money is held", where="holdUntil")
    return decision


def check_reversal(act: Act, payment: Payment, issuer: Issuer, judge: Judge) -> None:
    """The issuer's reversal inside a cancellation: S_G⟨revres; S_I⟨reversed⟩⟩, both *void*."""
    if not act.over:
        raise Refusal("reversal-missing", "the cancellation does not hold the issuer's reversal")
    revres = judge.inner(act.inner(), REVRES, "gateway", _gateway(payment))
    if not revres.over:
        raise Refusal("reversal-missing", "the gateway's answer does not hold the issuer's reversal")
    undone = judge.inner(revres.inner(), REVERSED, "issuer", issuer.name)
    _about(undone, payment)
    same_payment(revres.document, {"xid": payment.ds.document["xid"]})
    if {revres.document["result"], undone.document["result"]} != {"void"}:
        raise Refusal("not-reversed", "the issuer did not void the payment")


def check_answer(
    octets: bytes, inquiry: Act, payment: Payment, issuer: Issuer, judge: Judge
) -> tuple[Act, str, Act | None]:
    """The issuer's answer to this inquiry, the event it is, and the decision in it, if there is one."""
    answer = judge.act(octets, INQUIRY_ANSWER, "issuer", issuer.name)
    document = answer.document
    if document["inquiry"] != inquiry.id:
        raise Refusal("other-inquiry", "the answer is to another inquiry")
    said = payment.ds.document
    same_payment(document, {"xid": said["xid"], "ds": payment.ds.id, "trade": said["trade"]})
    decision = check_decision(answer.inner(), payment, issuer, judge) if answer.over else None
    result = decision.document["result"] if decision else ""
    if document["state"] in {"held", "captured"} and result not in {"", "approved"}:
        raise Refusal("contradicting-results", "the answer and the decision in it differ")
    if document["state"] == "declined" and result != "declined":
        raise Refusal("decision-missing", "a refusal of payment shows the issuer's decision")
    return answer, f"inquiry-{document['state']}", decision


def _gateway(payment: Payment) -> str:
    """The gateway's name, as the dual signature's audience says it after the merchant's."""
    return str(payment.ds.document["to"][1])


def _about(act: Act, payment: Payment) -> None:
    """Refuse an act that is not about this dual signature, member by member."""
    same_payment(act.document, {**names_of(payment.ds), "trade": payment.ds.document["trade"]})

"""The card number is sealed only to the gateway that the contract's offer accepts and the payment names.

Whoever delivers the certificates, the wallet checks itself that they are that gateway's: otherwise a
merchant could put in its own and read the card number (protocol, section 9.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from e2s.base.errors import Refusal
from e2s.client.wallet.card import Issuer
from e2s.client.wallet.rules import Judge
from e2s.commerce.payment.documents import PINIT
from e2s.crypto import oids
from e2s.crypto.acts import Act
from e2s.crypto.certificates import Certificate

MAX_CERTIFICATES = 16


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """A payment gateway: its name and the certificates of its two keys."""

    name: str
    signing: Certificate
    agreement: Certificate


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the buyer asked the merchant's payment component for."""

    offer: Act
    cid: str
    nonce: str


def check_pinit(
    octets: bytes, certificates: Sequence[Certificate], asked: Asked, judge: Judge
) -> tuple[Act, Gateway]:
    """The merchant's payment offer for this contract, and the gateway, verified to the root.

    Raises ``wrong-contract``, ``stale-nonce``, ``amount-raised``, ``gateway-not-accepted``,
    ``gateway-missing`` or, for certificates that are another's, the verifier's rule.
    """
    contract = asked.offer.document
    act = judge.act(octets, PINIT, "merchant-payment", asked.offer.certificate.name)
    document = act.document
    if document["cid"] != asked.cid or document["trade"] != contract["trade"]:
        raise Refusal("wrong-contract", "the payment offered is for another contract")
    if document["nC"] != asked.nonce:
        raise Refusal("stale-nonce", "the payment offered answers another request")
    if (document["total"], document["currency"]) != (contract["total"], contract["currency"]):
        raise Refusal("amount-raised", "the amount asked for is not the contract's")
    if document["payBy"] != contract["payBy"] or document["merchant"] != act.certificate.id:
        raise Refusal("wrong-contract", "the payment offered has other names or dates than the contract")
    named = document["gateway"]
    if named["signing"] not in contract["gatewaysAccepted"]:
        raise Refusal("gateway-not-accepted", "the contract does not name this gateway")
    known = {certificate.id: certificate for certificate in certificates[:MAX_CERTIFICATES]}
    if named["signing"] not in known or named["agreement"] not in known:
        raise Refusal("gateway-missing", "the gateway's certificates did not come with the payment offer")
    gateway = Gateway(
        name=named["name"], signing=known[named["signing"]], agreement=known[named["agreement"]]
    )
    chain = tuple(known.values())
    judge.certificate(gateway.signing, chain, oids.SIGNING["gateway"], gateway.name)
    judge.certificate(gateway.agreement, chain, oids.AGREEMENT["gateway"], gateway.name)
    return act, gateway


def check_issuer(issuer: Issuer, judge: Judge) -> None:
    """The issuer of the card record, both keys, as of now; what its agreement key opens is for it alone."""
    judge.certificate(issuer.signing, issuer.chain, oids.SIGNING["issuer"], issuer.name)
    judge.certificate(issuer.agreement, issuer.chain, oids.AGREEMENT["issuer"], issuer.name)

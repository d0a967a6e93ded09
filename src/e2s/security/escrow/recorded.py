"""Who could say what, by the ceremonies' records and the revocation lists that a transcript brings along."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from e2s.base.errors import Refusal
from e2s.base.rights import Authoriser, TableAuthoriser
from e2s.crypto.certificates import Certificate
from e2s.security.ceremonies import ceremony_record
from e2s.security.ceremonies.ceremony_record import Chain
from e2s.security.escrow.rules import Judge
from e2s.security.escrow.transcript import Transcript
from e2s.security.verification.verifier import Verifier


def ceremonies(given: Transcript, anchors: Sequence[Certificate]) -> tuple[Certificate, Chain]:
    """The root that held the transcript's ceremonies, and those; raises why no anchor did.

    Whoever another root certifies has no say here, whatever her name.
    """
    refusal = Refusal("no-anchor", "no root is trusted")
    for anchor in anchors:
        try:
            records = [ceremony_record.read(one, anchor) for one in given.octets("records")]
            return anchor, ceremony_record.chain(records)
        except Refusal as found:
            refusal = found
    raise refusal


class Judges:
    """Who could say what at an instant, by the records and lists that are in the transcript."""

    def __init__(self, given: Transcript, root: Certificate, chain: Chain, domain: str) -> None:
        self._verifier, self._lists = Verifier((root,)), tuple(given.octets("lists"))
        self._chain, self._said, self._domain = chain, given.document, domain
        if chain.newest.community != given.document["community"]:
            raise Refusal("other-vault", "the records are of another community")

    def made(self, *, required: bool) -> Judge:
        """A judge; ``required``: who is judged must not be revoked by lists of that instant."""

        def check(
            certificate: Certificate,
            others: Sequence[Certificate],
            *,
            purpose: str | None,
            name: str | None,
            at: datetime,
        ) -> None:
            self._verifier.judge(
                certificate,
                others,
                self._lists,
                at=at,
                purpose=purpose,
                name=name,
                require_revocation=required,
            ).or_refuse()

        return Judge(
            check=check,
            rights=self._rights,
            community=self._said["community"],
            vault=self._said["vault"],
            domain=self._domain,
        )

    def _rights(self, at: datetime) -> Authoriser:
        """The rights that the newest record of then left in force."""
        held = [record for record in self._chain.records if record.at <= at]
        return TableAuthoriser(held[-1].rights if held else frozenset())

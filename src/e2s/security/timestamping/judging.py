"""Whether a stamp still proves something, years later: its authority is judged as of the stamp's own time.

Lists made since then speak too.  An authority that was revoked later, because it ended or was replaced, dated
rightly until then; where its key may have been another's, nothing that it ever dated counts (RFC 3161, 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.stamps import Stamp
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.traits import traits
from e2s.security.verification.verdict import Verdict
from e2s.security.verification.verifier import Verifier

#: Reasons with which an authority ends and its key was never another's; to give none is not among them.
_ENDED: Final = frozenset({"affiliationChanged", "superseded", "cessationOfOperation"})


def judge_stamp(
    stamp: Stamp,
    verifier: Verifier,
    untrusted: Sequence[Certificate] = (),
    crls: Sequence[bytes] = (),
    *,
    at: datetime | None = None,
    name: str | None = None,
    require_revocation: bool = False,
) -> Verdict:
    """The verdict on the authority of a proven ``stamp`` at ``at``, by default the stamp's own time.

    ``name`` is the authority's, where it must be a certain one.
    """
    signer = stamp.signed.signer_certificate
    verdict = verifier.judge(
        signer,
        (*stamp.signed.certificates, *untrusted),
        crls,
        at=at or stamp.at,
        purpose=oids.EKU_TIME_STAMPING,
        name=name,
        require_revocation=require_revocation,
        later=True,
    )
    if not verdict.accepted:
        return verdict
    wanted = traits(signer)
    for octets in verdict.crls_used:
        entry = CrlIndex.read(octets).entry(wanted)
        if entry is not None and entry.reason not in _ENDED:
            reason = f"the authority was revoked ({entry.reason}): none of its stamps counts (RFC 3161, 4)"
            return replace(verdict, accepted=False, rule="revoked", reason=reason, culprit=signer)
    return verdict

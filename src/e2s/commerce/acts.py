"""Every room writes and reads its acts in one way: complete and checked before signing, trusted before use.

A *received* act came to this reader: label, audience, signature, path, purpose, revocation and form are
checked.  A *quoted* act stands inside another and speaks to somebody else: its signer must be one whom
the reader knows from the payment or contract that the outer act is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from e2s.base.errors import Refusal
from e2s.base.instants import DELTA, format_instant
from e2s.base.wire import Document
from e2s.crypto import oids
from e2s.crypto.acts import Act, check_act_signature, read_act
from e2s.crypto.certificates import Certificate
from e2s.crypto.forms import Form
from e2s.security.verification.trust import Trust


def draft(
    form: Form,
    *,
    by: Certificate,
    to: Sequence[str],
    at: datetime,
    until: datetime,
    trade: str = "",
    **members: Any,
) -> Document:
    """The complete document of ``form`` that ``by`` will sign at ``at``; a member of ``None`` is left out.

    Raises :class:`Refusal` ``bad-document`` when the values don't make a document of that form.
    """
    document: Document = {
        "type": form.type,
        "from": by.id,
        "to": list(to),
        "at": format_instant(at),
        "until": format_instant(until),
        **{name: value for name, value in members.items() if value is not None},
    }
    if trade:
        document["trade"] = trade
    form.check(document)
    return document


def received(
    act: bytes | Act, form: Form, *, trust: Trust, to: str, role: str, at: datetime, name: str | None = None
) -> Act:
    """The act, once it is of ``form``, addressed to ``to`` and signed by a key of ``role`` (of ``name``).

    Raises :class:`Refusal` with the rule of whichever check fails; ``from-the-future`` when its signer
    says a time later than any honest clock could show.
    """
    found = act if isinstance(act, Act) else read_act(act)
    trust.check_act(found, type=form.type, to=to, purpose=oids.SIGNING[role], at=at, name=name)
    form.check(found.document)
    if found.at > at + 2 * DELTA:
        raise Refusal("from-the-future", "the act says a time that has not come", type=form.type)
    return found


def quoted(act: Act, form: Form, *, by: str) -> Act:
    """The inner act, once it is of ``form`` and signed with the known certificate ``by``."""
    if act.type != form.type:
        raise Refusal(
            "wrong-label", "an act of another type was expected", expected=form.type, found=act.type
        )
    if act.certificate.id != by:
        raise Refusal("other-signer", "the inner act is by another signer", type=form.type)
    check_act_signature(act)
    form.check(act.document)
    return act


def over_exactly(act: Act, count: int) -> Act:
    """``act``, once it is over exactly ``count`` others."""
    if len(act.over) != count:
        raise Refusal(
            "wrong-nesting", "the act is not over what it must be over", type=act.type, over=len(act.over)
        )
    return act

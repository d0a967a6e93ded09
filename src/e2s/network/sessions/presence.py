"""A card that was taken out signs nothing: from time to time, and before an offer, it is asked to.

The challenge comes in an answer; nothing more is given before Ba has signed it, with the session's
identifier, transcript and the number of that answer.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.crypto.acts import Act
from e2s.crypto.forms import Form, integer, octets
from e2s.network.sessions.records import LAST_SEQ

PRESENCE = "e2s/1/presence"
CHALLENGE_BYTES = 32
_LIFE = timedelta(seconds=120)

PRESENCE_FORM = Form(
    PRESENCE,
    {
        "challenge": octets(CHALLENGE_BYTES),
        "sid": octets(16),
        "th": octets(32),
        "seq": integer(1, LAST_SEQ),
    },
    trade=False,
)


def write_presence(
    *, sender: str, merchant: str, challenge: bytes, sid: bytes, th: bytes, seq: int, at: datetime
) -> wire.Document:
    """The unsigned proof; ``seq`` is the number of the answer that brought the challenge."""
    return {
        "type": PRESENCE,
        "from": sender,
        "to": [merchant],
        "at": format_instant(at),
        "until": format_instant(at + _LIFE),
        "challenge": wire.b64u(challenge),
        "sid": wire.b64u(sid),
        "th": wire.b64u(th),
        "seq": seq,
    }


def check_presence(act: Act, *, signer: str, challenge: bytes, sid: bytes, th: bytes, seq: int) -> None:
    """The proof is by the session's own key, on this challenge, session and answer; else ``no-presence``."""
    PRESENCE_FORM.check(act.document)
    told = {name: act.document[name] for name in ("from", "challenge", "sid", "th", "seq")}
    asked = {
        "from": signer,
        "challenge": wire.b64u(challenge),
        "sid": wire.b64u(sid),
        "th": wire.b64u(th),
        "seq": seq,
    }
    if told != asked:
        raise Refusal("no-presence", "the proof of presence is not on what was asked")

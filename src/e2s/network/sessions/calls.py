"""What travels in records: a request with its ``rid``, and an answer that names the request's number.

A retry is a new record with the same ``rid``; whoever serves gives its stored result again.  An
answer holds the result's members, or a refusal, or a challenge to prove the card's presence.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.crypto.forms import octets, text
from e2s.network.sessions.presence import CHALLENGE_BYTES
from e2s.network.sessions.records import MAX_RECORD_BODY

PAGE_PATH = "/session/page"
LOGIN_PATH = "/session/login"
RECORD_PATH = "/session/record"

_RID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_OP = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
#: Members of an answer that a result may not use.
_OWN = frozenset({"answers", "rid", "refused", "presence"})
_CHALLENGE = octets(CHALLENGE_BYTES)
_RULE = text(64)
_MESSAGE = text(1000, min_length=0, lines=True)


@dataclass(frozen=True)
class Call:
    """One request of the session's buyer."""

    rid: str
    op: str
    args: wire.Document = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """One answer: exactly one of ``result``, ``refusal`` and ``challenge`` says something."""

    answers: int
    rid: str
    result: wire.Document | None = None
    refusal: Refusal | None = None
    challenge: bytes = b""


def write_call(call: Call) -> bytes:
    """The body of a request record; raises :class:`Misuse` for what cannot be asked."""
    if not _RID.fullmatch(call.rid) or not _OP.fullmatch(call.op):
        raise Misuse("bad-call", "a request has a rid and an operation", op=call.op[:32])
    return _bounded(wire.encode({"rid": call.rid, "op": call.op, "args": call.args}))


def read_call(body: bytes) -> Call:
    """Read a request's body; raises :class:`Refusal` ``bad-call``, ``not-canonical`` or ``too-large``."""
    document = wire.decode(body, MAX_RECORD_BODY)
    rid, op, args = (document.get(name) for name in ("rid", "op", "args"))
    if (
        len(document) != 3
        or not isinstance(rid, str)
        or not isinstance(op, str)
        or not isinstance(args, dict)
    ):
        raise Refusal("bad-call", "a request has exactly rid, op and args")
    if not _RID.fullmatch(rid) or not _OP.fullmatch(op):
        raise Refusal("bad-call", "the request's rid or op is not well formed")
    return Call(rid, op, args)


def write_result(answers: int, rid: str, result: wire.Document) -> bytes:
    """The body of an answer with ``result``'s members."""
    if _OWN & result.keys():
        raise Misuse("bad-result", "a result does not use the answer's own members")
    return _bounded(wire.encode({**result, "answers": answers, "rid": rid}))


def write_refusal(answers: int, rid: str, refusal: Refusal) -> bytes:
    """The body of an answer that refuses."""
    message = unicodedata.normalize("NFC", refusal.message)[:500]
    shown = "".join(c if c.isprintable() else " " for c in message)
    return wire.encode({"answers": answers, "rid": rid, "refused": {"rule": refusal.rule, "message": shown}})


def write_challenge(answers: int, rid: str, challenge: bytes) -> bytes:
    """The body of an answer that asks for presence first."""
    return wire.encode({"answers": answers, "rid": rid, "presence": wire.b64u(challenge)})


def read_answer(body: bytes) -> Answer:
    """Read an answer's body; raises :class:`Refusal` ``bad-answer``, ``not-canonical`` or ``too-large``."""
    document = wire.decode(body, MAX_RECORD_BODY)
    answers, rid = document.pop("answers", None), document.pop("rid", None)
    if type(answers) is not int or not isinstance(rid, str) or (rid and not _RID.fullmatch(rid)):
        raise Refusal("bad-answer", "an answer names the request that it answers")
    if "refused" not in document and "presence" not in document:
        return Answer(answers, rid, document)
    try:
        if document.keys() == {"presence"}:
            _CHALLENGE(document["presence"], "")
            return Answer(answers, rid, challenge=wire.unb64u(document["presence"]))
        told = document["refused"]
        if document.keys() != {"refused"} or type(told) is not dict or told.keys() != {"rule", "message"}:
            raise Refusal("bad-answer", "an answer is a result, a refusal or a challenge")
        _RULE(told["rule"], "")
        _MESSAGE(told["message"], "")
    except (Refusal, KeyError) as error:
        raise Refusal("bad-answer", "an answer is a result, a refusal or a challenge") from error
    return Answer(answers, rid, refusal=Refusal(told["rule"], told["message"]))


def _bounded(body: bytes) -> bytes:
    if len(body) > MAX_RECORD_BODY:
        raise Misuse("too-large", "the body does not fit in a record", size=len(body))
    return body

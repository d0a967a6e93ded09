"""A document of any form, found by asking the form itself what it refuses."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from e2s.base.errors import Refusal
from e2s.base.wire import Document, b64u
from e2s.crypto.forms import Check, Form

_DIGEST = "sha-256:" + b64u(bytes(32))
#: Values that some check takes, the most particular first; the empty ones grow by what is said of them.
_TRIED: tuple[Any, ...] = (
    "2026-05-04T12:00:00Z", "EUR", _DIGEST, b64u(bytes(16)), b64u(bytes(20)), b64u(bytes(32)), "12.50", "1000",
    "words", True, 1, [], ["words"], [_DIGEST], {}, [{}],
)  # fmt: skip
_STEPS = 300


def sample(form: Form) -> Document:
    """A good document of ``form`` with all its members, optional ones too."""
    document: Document = {}
    for name, check in {**form.members, **form.optional}.items():
        document[name] = {"type": form.type, "currency": "EUR"}.get(name) or _value(check)
    form.check(document)
    return document


def _value(check: Check) -> Any:
    """A value that ``check`` takes, grown member by member."""
    grown: list[Any] = list(deepcopy(_TRIED))
    for _ in range(_STEPS):
        if not grown:
            break
        value = grown.pop(0)
        refusal = _refusal(check, value)
        if refusal is None:
            return value
        where = str(refusal.facts.get("where", ""))
        if refusal.message.startswith("one of "):
            grown[:0] = _placed(value, where, tuple(refusal.message.removeprefix("one of ").split(", ")))
        elif where:
            grown[:0] = [one for one in _placed(value, where, _TRIED) if _further(check, one, where)]
    raise AssertionError("no sample is known for this check")


def _further(check: Check, value: Any, where: str) -> bool:
    """Whether ``value`` is good, or its next fault stands elsewhere or further in."""
    refusal = _refusal(check, value)
    return refusal is None or str(refusal.facts.get("where", "")) != where


def _refusal(check: Check, value: Any) -> Refusal | None:
    try:
        check(value, "EUR")
    except Refusal as refusal:
        return refusal
    return None


def _placed(value: Any, where: str, choices: tuple[Any, ...]) -> list[Any]:
    """``value`` with each of ``choices`` at the place ``where``."""
    if not where:
        return list(choices)
    made = []
    for choice in choices:
        copy = holder = deepcopy(value)
        *path, last = where.split(".")
        for step in path:
            holder = holder[int(step) if isinstance(holder, list) else step]
        holder[int(last) if isinstance(holder, list) else last] = deepcopy(choice)
        made.append(copy)
    return made

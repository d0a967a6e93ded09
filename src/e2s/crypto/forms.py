"""A document has exactly the members of its form, each checked, or it is refused with the place named.

A check is a callable ``check(value, currency)`` that raises :class:`~e2s.base.errors.Refusal`
``bad-document``; ``currency`` is what amounts are in, or the empty string where the form names none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from e2s.base.errors import Refusal
from e2s.base.instants import parse_instant
from e2s.base.money import decimals, parse_amount, parse_number
from e2s.base.wire import MAX_INTEGER, Document, unb64u

Check: TypeAlias = Callable[[Any, str], None]

_DIGEST = re.compile(r"sha-256:[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", re.ASCII)
_TOKEN = re.compile(r"[!-~]{1,64}", re.ASCII)
_AMOUNT = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?", re.ASCII)
# control characters, and those that let text be shown in another order than it is written (UAX 9, 2)
_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_BREAKS = re.compile("[\t\n]")


def _bad(message: str, where: str = "") -> Refusal:
    return Refusal("bad-document", message, where=where)


def _within(refusal: Refusal, name: str) -> Refusal:
    """The refusal of a part, with the place of the part in the whole."""
    where = str(refusal.facts.get("where") or "")
    return _bad(refusal.message, f"{name}.{where}" if where else name)


def text(max_length: int, *, min_length: int = 1, lines: bool = False) -> Check:
    """Text of at most ``max_length`` characters that can be shown; line breaks only with ``lines``."""

    def check(value: Any, _currency: str) -> None:
        if type(value) is not str or not min_length <= len(value) <= max_length:
            raise _bad(f"text of {min_length} to {max_length} characters")
        if not value.isprintable() or not value.isascii():
            if _UNSHOWN.search(value):
                raise _bad("text with characters that are not shown")
            if not lines and _BREAKS.search(value):
                raise _bad("text on one line")

    return check


def token(value: Any, _currency: str = "") -> None:
    """1 to 64 printable ASCII characters without space."""
    if type(value) is not str or not _TOKEN.fullmatch(value):
        raise _bad("1 to 64 printable ASCII characters")


def amount(value: Any, currency: str = "") -> None:
    """A decimal amount, with exactly the decimals of the form's currency where it names one."""
    if type(value) is not str or not _AMOUNT.fullmatch(value):
        raise _bad("an amount is a decimal string")
    if currency:
        _try(parse_amount, value, currency)


def amount_not_negative(value: Any, currency: str = "") -> None:
    """An :func:`amount` of zero or more."""
    amount(value, currency)
    if value[0] == "-":
        raise _bad("an amount that is not negative")


def currency_code(value: Any, _currency: str = "") -> None:
    """An ISO 4217 code."""
    if type(value) is not str:
        raise _bad("a currency is three capital letters")
    _try(decimals, value)


def number(value: Any, _currency: str = "") -> None:
    """A quantity, percentage or unit price (:func:`e2s.base.money.parse_number`)."""
    if type(value) is not str:
        raise _bad("a number is a decimal string")
    _try(parse_number, value)


def instant(value: Any, _currency: str = "") -> None:
    """``YYYY-MM-DDThh:mm:ssZ``."""
    if type(value) is not str:
        raise _bad("an instant is written YYYY-MM-DDThh:mm:ssZ")
    _try(parse_instant, value)


def digest(value: Any, _currency: str = "") -> None:
    """``sha-256:`` and 43 characters of base64url."""
    if type(value) is not str or not _DIGEST.fullmatch(value):
        raise _bad("a digest is written sha-256: and 43 characters of base64url")


def octets(size: int) -> Check:
    """Exactly ``size`` octets in base64url without padding."""
    return octets_max(size, min_size=size)


def octets_max(max_size: int, *, min_size: int = 0) -> Check:
    """``min_size`` to ``max_size`` octets in base64url without padding."""

    def check(value: Any, _currency: str) -> None:
        if type(value) is not str or len(value) > (max_size * 4 + 2) // 3:
            raise _bad(f"{min_size} to {max_size} octets in base64url")
        if len(_try(unb64u, value)) not in range(min_size, max_size + 1):
            raise _bad(f"{min_size} to {max_size} octets in base64url")

    return check


def one_of(*choices: str) -> Check:
    """One of the given strings."""
    allowed = frozenset(choices)

    def check(value: Any, _currency: str) -> None:
        if type(value) is not str or value not in allowed:
            raise _bad("one of " + ", ".join(choices))

    return check


def integer(lowest: int = 0, highest: int = MAX_INTEGER) -> Check:
    """A whole number from ``lowest`` to ``highest``."""

    def check(value: Any, _currency: str) -> None:
        if type(value) is not int or not lowest <= value <= highest:
            raise _bad(f"a whole number from {lowest} to {highest}")

    return check


def boolean(value: Any, _currency: str = "") -> None:
    """``true`` or ``false``."""
    if type(value) is not bool:
        raise _bad("true or false")


def list_of(each: Check, max_length: int, min_length: int = 0) -> Check:
    """A list of ``min_length`` to ``max_length`` values that ``each`` accepts."""

    def check(value: Any, currency: str) -> None:
        if type(value) is not list or not min_length <= len(value) <= max_length:
            raise _bad(f"a list of {min_length} to {max_length}")
        for index, item in enumerate(value):
            try:
                each(item, currency)
            except Refusal as refusal:
                raise _within(refusal, str(index)) from None

    return check


def record(members: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with exactly ``members``, and perhaps ``optional`` ones."""
    known = {**members, **(optional or {})}
    required = frozenset(members)

    def check(value: Any, currency: str) -> None:
        if type(value) is not dict:
            raise _bad("an object")
        if not required <= value.keys():
            raise _bad("a member is missing", min(required - value.keys()))
        for name, item in value.items():
            if name not in known:
                raise _bad("an unknown member", name[:64])
            try:
                known[name](item, currency)
            except Refusal as refusal:
                raise _within(refusal, name) from None

    return check


_ENVELOPE: Mapping[str, Check] = {
    "from": digest,
    "to": list_of(text(256), 8, 1),
    "at": instant,
    "until": instant,
    "trade": octets(16),
}


class Form:
    """The members of one type of document.

    Every form has ``type``.  With ``envelope`` (the default) it also has ``from``, ``to``, ``at``,
    ``until`` and, unless ``trade`` is false, ``trade`` (protocol, section 1); ``members`` may replace
    their checks.  ``currency`` names the member that says what the form's amounts are in, where it has one.
    """

    def __init__(
        self,
        label: str,
        members: Mapping[str, Check],
        optional: Mapping[str, Check] | None = None,
        *,
        envelope: bool = True,
        trade: bool = True,
        currency: str = "currency",
    ) -> None:
        self.type = label
        self._currency = currency if currency in members else ""
        around = {name: check for name, check in _ENVELOPE.items() if envelope and (trade or name != "trade")}
        self.members: Mapping[str, Check] = {"type": one_of(label), **around, **members}
        self.optional: Mapping[str, Check] = dict(optional or {})
        self._record = record(self.members, self.optional)

    def check(self, document: Document) -> None:
        """Raise :class:`Refusal` ``bad-document`` with ``where``, or ``wrong-label`` for another type."""
        if document.get("type") != self.type:
            raise Refusal("wrong-label", "the document is of another type", expected=self.type)
        currency = ""
        if self._currency:
            currency = document.get(self._currency, "")
            try:
                currency_code(currency)
            except Refusal as refusal:
                raise _within(refusal, self._currency) from None
        self._record(document, currency)


def _try(read: Callable[..., Any], *arguments: str) -> Any:
    """``read(*arguments)``, its refusal turned into ``bad-document``."""
    try:
        return read(*arguments)
    except Refusal as refusal:
        raise _bad(refusal.message) from None

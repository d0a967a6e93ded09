"""Accounts, orders, authorisations and challenges each go through a table of states (RFC 8555, 7.1.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from e2s.base.errors import Refusal

Table: TypeAlias = Mapping[tuple[str, str], str]

ACCOUNT: Final[Table] = {
    ("valid", "deactivate"): "deactivated",
    ("valid", "revoke"): "revoked",
}
ORDER: Final[Table] = {
    ("pending", "authorised"): "ready",
    ("pending", "failed"): "invalid",
    ("pending", "lapsed"): "invalid",
    ("ready", "failed"): "invalid",
    ("ready", "lapsed"): "invalid",
    ("ready", "finalised"): "processing",
    ("processing", "issued"): "valid",
    ("processing", "declined"): "invalid",
}
AUTHORISATION: Final[Table] = {
    ("pending", "validated"): "valid",
    ("pending", "failed"): "invalid",
    ("pending", "lapsed"): "expired",
    ("pending", "deactivate"): "deactivated",
    ("valid", "lapsed"): "expired",
    ("valid", "deactivate"): "deactivated",
    ("valid", "revoke"): "revoked",
}
CHALLENGE: Final[Table] = {
    ("pending", "answered"): "processing",
    ("processing", "retried"): "processing",
    ("processing", "validated"): "valid",
    ("processing", "failed"): "invalid",
}


def after(table: Table, state: str, act: str) -> str:
    """The state that ``act`` leads to; raises :class:`Refusal` ``wrong-state`` for a pair not listed."""
    found = table.get((state, act))
    if found is None:
        raise Refusal("wrong-state", f"this cannot be done to what is {state}", state=state, act=act)
    return found


def order_act(state: str, authorisations: tuple[str, ...], *, lapsed: bool) -> str:
    """What happened to an order by the states of its authorisations and by time; empty for nothing.

    ``expired`` and ``deactivated`` authorisations fail an order as ``invalid`` ones do; no authorisation
    authorises nothing.
    """
    if state not in {"pending", "ready"}:
        return ""
    if lapsed:
        return "lapsed"
    if not all(one in {"pending", "valid"} for one in authorisations):
        return "failed"
    if state == "pending" and authorisations and set(authorisations) == {"valid"}:
        return "authorised"
    return ""

"""The registration authority as a process: it takes officers' words from the party's own tools, and orders.

Each door takes what an officer signed, or shows what the register says; none of them needs, or gives, more
than that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.http import Request, Response
from e2s.base.wire import Document
from e2s.network.sessions.link import Door, LinkDoor
from e2s.security.pki.service import MAX_MESSAGE_BYTES
from e2s.security.registration import acts, approving, store, withdrawing
from e2s.security.registration.office import Office
from e2s.security.registration.ordering import Ask, submit

#: What a door shows of cases at once.
MOST_SHOWN = 200


class Service:
    """One registration authority at work: doors of a link, and orders at each tick."""

    def __init__(self, office: Office, ask: Ask, keys: Mapping[str, bytes]) -> None:
        """``ask`` reaches the CA; ``keys`` of the links by peer."""
        self.office = office
        self._ask = ask
        self._door = LinkDoor(office.component, keys, doors(office), office.clock, office.random)

    def handle(self, request: Request) -> Response:
        """Answer over the link only."""
        return self._door.handle(request)

    def tick(self) -> None:
        """Send what waits for the CA."""
        submit(self.office, self._ask)
        withdrawing.send_withdrawals(self.office, self._ask)

    def close(self) -> None:
        """Give back the register."""
        self.office.database.close()


def doors(office: Office) -> Mapping[str, Door]:
    """The doors for the party's own tools, by path."""
    takers: Mapping[str, Callable[[Office, bytes], Document]] = {
        "/act": acts.take,
        "/approve": approving.take_first,
        "/countersign": approving.take_second,
        "/withdraw": withdrawing.take_withdrawal,
    }
    found: dict[str, Door] = {path: _taking(office, take) for path, take in takers.items()}
    found["/draft"] = lambda _peer, body: wire.encode(_draft(office, body))
    found["/document"] = lambda _peer, body: wire.encode(_document(office, body))
    found["/case"] = lambda _peer, body: wire.encode(shown_case(office, _asked(body, "case")))
    found["/cases"] = lambda _peer, body: wire.encode(
        {"cases": shown_cases(office, state=_asked(body, "state"))}
    )
    return found


def shown_case(office: Office, ident: str) -> Document:
    """What the register says of a case, with what was seen; raises :class:`Refusal` ``no-such-case``."""
    with office.database.reading() as connection:
        row = store.case(connection, ident)
        if row is None:
            raise Refusal("no-such-case", "there is no such case", case=ident)
        seen = [json.loads(one.record) for one in store.evidence(connection, row.n)]
        words = len(store.words(connection, row.n))
        approval = store.approval_numbered(connection, row.approval) if row.approval else None
    shown = {**summary(row), "party": row.party, "title": row.title, "further": store.further_of(row)}
    shown |= {"protection": row.protection, "confidence": row.confidence, "opened": row.at, "evidence": seen}
    shown |= {"words": words, "eyes": 2 if row.eyes else 1, "message": row.message, "before": row.before}
    if approval is not None:
        shown["approval"] = {
            "number": approval.n,
            "state": approval.state,
            "officers": [name for name in (approval.officer, approval.second_officer) if name],
            "until": approval.until,
        }
    if row.certificate is not None:
        shown["certificate"] = wire.b64u(row.certificate)
    return shown


def shown_cases(
    office: Office, *, state: str = "", batch: str = "", most: int = MOST_SHOWN
) -> list[Document]:
    """The newest cases, of a state or batch where given."""
    with office.database.reading() as connection:
        return [summary(row) for row in store.cases(connection, state=state, batch=batch, most=most)]


def summary(row: sa.Row[Any]) -> Document:
    """One case on a line."""
    return {
        "case": row.id,
        "number": row.n,
        "state": row.state,
        "profile": row.profile,
        "name": row.name,
        "officer": row.officer,
        "serial": row.serial or "",
        "rule": row.rule,
        "batch": row.batch,
    }


def _taking(office: Office, take: Callable[[Office, bytes], Document]) -> Door:
    return lambda _peer, body: wire.encode(take(office, body))


def _draft(office: Office, body: bytes) -> Document:
    """The order for cases, for an officer's tool to sign."""
    said = wire.decode(body)
    cases, officer = said.get("cases"), said.get("officer")
    if (
        not isinstance(cases, list)
        or not all(isinstance(one, str) for one in cases)
        or not isinstance(officer, str)
    ):
        raise Refusal("bad-document", "a draft is asked for with cases and officer")
    return approving.draft(office, cases, officer)


def _document(office: Office, body: bytes) -> Document:
    """The keyed digest of a document's number, for an officer's tool."""
    said = wire.decode(body)
    parts = [said.get(name) for name in ("kind", "issuer", "number")]
    if not all(isinstance(part, str) for part in parts):
        raise Refusal("bad-document", "a document is asked for with kind, issuer and number")
    kind, issuer, number = map(str, parts)
    return {"document": office.document_digest(kind, issuer, number)}


def _asked(body: bytes, member: str) -> str:
    value = wire.decode(body, MAX_MESSAGE_BYTES).get(member, "")
    if not isinstance(value, str):
        raise Refusal("bad-document", "a text is asked for", where=member)
    return value

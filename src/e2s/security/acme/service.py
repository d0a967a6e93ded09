"""The ACME door (RFC 8555): it reads signed messages, carries them to acts, tells problems by their rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias
from urllib.parse import parse_qs

import msgspec

from e2s.base.database import Database
from e2s.base.errors import E2SError, Refusal, Unreachable
from e2s.base.events import Event
from e2s.base.http import Request, Response
from e2s.base.refusals import RefusalCounter
from e2s.base.wire import Document
from e2s.security.acme import accounts, orders, problems, renewal, revoking, store
from e2s.security.acme.book import LIFETIMES, PATH, Book, Lifetimes, number_of
from e2s.security.acme.challenges import Challenges
from e2s.security.acme.messages import Heard, hear
from e2s.security.acme.nonces import Nonces
from e2s.security.acme.reach import Reach
from e2s.security.acme.validation import Validate, validator
from e2s.security.enrolment.asking import Desk
from e2s.security.enrolment.policy import Acme
from e2s.security.enrolment.setting import DoorSetting
from e2s.security.repository.rates import RateLimit, Rates

CHAIN: Final = "application/pem-certificate-chain"
_JSON: Final = "application/json"
#: Requests of one address a second, and of all.
RATES: Final = Rates(each=50.0, total=1000.0)
_POLL_SECONDS: Final = 1
_FILE: Final = "acme.sqlite"
_RESOURCE: Final = re.compile(r"/([a-z-]+)(?:/([A-Za-z0-9._-]{1,200}))?(/finalize|/orders)?", re.ASCII)

#: Kinds of things that are called by a number.
_NUMBERED: Final = frozenset({"account", "order", "certificate", "authorization", "challenge"})

_QUICK: Final = tuple(f"{PATH}/{one}" for one in ("certificate/", "new-nonce", "directory"))

_Answer: TypeAlias = Callable[[Heard, str], Response]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a door bears: requests in a time, and the time of what was begun."""

    rates: Rates = RATES
    lifetimes: Lifetimes = LIFETIMES
    nonces: int = 65536


def door(desk: Desk, setting: DoorSetting) -> AcmeDoor:
    """The door of a component's desk."""
    return AcmeDoor(desk, setting)


class AcmeDoor:
    """One door, its register and its threads; a handler."""

    def __init__(
        self,
        desk: Desk,
        setting: DoorSetting,
        *,
        bounds: Bounds | None = None,
        validate: Validate | None = None,
    ) -> None:
        """``validate`` takes the place of connections to hosts, which go where the policy lets them."""
        bounds = bounds or Bounds()
        self.database = Database.open(setting.folder / _FILE, store.TABLES)
        self.outbox = store.OUTBOX
        self._book = Book(
            desk=desk,
            database=self.database,
            clock=setting.clock,
            random=setting.random,
            component=setting.component,
            origin=setting.origin,
            policy=setting.policy.acme,
            lifetimes=bounds.lifetimes,
        )
        self._challenges = Challenges(self._book, validate or validator(_reach(setting.policy.acme)))
        self._nonces = Nonces(setting.random, most=bounds.nonces)
        self._limit = RateLimit(bounds.rates)
        self._refusals = RefusalCounter(setting.component)
        self._index = f'<{self._book.base}/directory>;rel="index"'
        self._posts: Mapping[str, _Answer] = {
            "new-account": self._new_account,
            "new-order": self._new_order,
            "key-change": self._key_change,
            "revoke-cert": self._revoke,
            "account": self._account,
            "account/orders": self._orders,
            "order": self._order,
            "order/finalize": self._finalise,
            "certificate": self._certificate,
            "authorization": self._authorisation,
            "challenge": self._challenge,
        }

    def __call__(self, request: Request) -> Response:
        """The answer to one request; every refusal is a problem with its rule."""
        try:
            self._limit.take(request.client, self._book.now())
            answer = self._answered(request)
        except (Refusal, Unreachable) as error:
            self._note(error.rule)
            answer = problems.answer(error)
        headers = {
            **answer.headers,
            "link": ", ".join(filter(None, (self._index, answer.headers.get("link")))),
        }
        if request.method == "POST":
            headers["replay-nonce"] = self._nonces.give()
        return Response(answer.status, answer.body, headers)

    def quick(self, request: Request) -> bool:
        """Whether it is only looked at what stands in the register."""
        return request.path.startswith(_QUICK)

    def tick(self, now: datetime) -> None:
        """Try challenges again that are due, and write down how many were refused."""
        self._challenges.tick()
        self._write(self._refusals.due(now))

    def close(self) -> None:
        """Give back threads and register."""
        self._challenges.close()
        self.database.close()

    def _answered(self, request: Request) -> Response:
        path, _, query = request.path.removeprefix(PATH).partition("?")
        match = _RESOURCE.fullmatch(path)
        if not request.path.startswith(f"{PATH}/") or not match:
            raise Refusal("not-found", "there is nothing at this address")
        kind, name, below = match[1], match[2] or "", match[3] or ""
        if not name or kind == "renewal-info":
            looked = self._looked(request.method, kind, name)
            if looked is not None:
                return looked
        act = self._posts.get(kind + below)
        if act is None or bool(name) != (
            kind in {"account", "order", "certificate", "authorization", "challenge"}
        ):
            raise Refusal("not-found", "there is nothing at this address")
        if request.method != "POST":
            raise Refusal("wrong-method", "this is asked for by a signed POST (RFC 8555, 6.3)")
        return act(hear(self._book, self._nonces, request), f"{name}?{query}" if below == "/orders" else name)

    def _looked(self, method: str, kind: str, name: str) -> Response | None:
        """What anyone may look at without a signature."""
        if kind == "new-nonce" and method in {"GET", "HEAD"}:
            headers = {"replay-nonce": self._nonces.give(), "cache-control": "no-store"}
            return Response(200 if method == "HEAD" else 204, b"", headers)
        if kind == "directory" and method in {"GET", "HEAD"}:
            return _json(self._directory())
        if kind == "renewal-info" and name and method in {"GET", "HEAD"}:
            found = renewal.info(self._book, name)
            return _json(found, headers={"retry-after": str(renewal.RETRY_SECONDS)})
        return None

    def _directory(self) -> Document:
        base, policy = self._book.base, self._book.policy
        meta: Document = {"externalAccountRequired": policy.external_account}
        if policy.terms:
            meta["termsOfService"] = policy.terms
        return {
            "newNonce": f"{base}/new-nonce",
            "newAccount": f"{base}/new-account",
            "newOrder": f"{base}/new-order",
            "revokeCert": f"{base}/revoke-cert",
            "keyChange": f"{base}/key-change",
            "renewalInfo": f"{base}/renewal-info",
            "meta": meta,
        }

    # ---------------------------------------------------------------- accounts
    def _new_account(self, heard: Heard, _name: str) -> Response:
        if heard.account is not None:
            raise Refusal("bad-header", "a new account is asked for by its key (RFC 8555, 6.2)")
        account, new = accounts.create(self._book, heard.key, heard.said, heard.url)
        where = {"location": self._book.url("account", account.n)}
        return _json(accounts.shown(self._book, account.n), 201 if new else 200, where)

    def _account(self, heard: Heard, name: str) -> Response:
        self._own_account(heard, name)
        return _json(accounts.update(self._book, heard.holder, heard.payload))

    def _orders(self, heard: Heard, name: str) -> Response:
        n, _, query = name.partition("?")
        self._own_account(heard, n)
        heard.look()
        cursor = parse_qs(query, max_num_fields=4).get("cursor", ["0"])[0]
        found, more = accounts.orders(
            self._book, heard.holder, int(cursor) if cursor == "0" else number_of(cursor)
        )
        next_url = f"{self._book.url('account', n)}/orders?cursor={more}"
        return _json(found, headers={"link": f'<{next_url}>;rel="next"'} if more else {})

    def _own_account(self, heard: Heard, name: str) -> None:
        if number_of(name) != heard.holder.n:
            raise Refusal("not-yours", "this is another's account")

    def _key_change(self, heard: Heard, _name: str) -> Response:
        accounts.change_key(self._book, heard.holder, heard.said, heard.url)
        return _json(accounts.shown(self._book, heard.holder.n))

    # ---------------------------------------------------------------- orders
    def _new_order(self, heard: Heard, _name: str) -> Response:
        row = orders.place(self._book, heard.holder, heard.said)
        return _json(orders.shown(self._book, row), 201, {"location": self._book.url("order", row.n)})

    def _order(self, heard: Heard, name: str) -> Response:
        heard.look()
        row = orders.polled(self._book, heard.holder, number_of(name))
        return _json(orders.shown(self._book, row), headers=_waiting(row.state))

    def _finalise(self, heard: Heard, name: str) -> Response:
        row = orders.finalise(self._book, heard.holder, number_of(name), heard.said)
        where = {"location": self._book.url("order", row.n), **_waiting(row.state)}
        return _json(orders.shown(self._book, row), headers=where)

    def _certificate(self, heard: Heard, name: str) -> Response:
        heard.look()
        return Response(
            200, orders.certificate(self._book, heard.holder, number_of(name)), {"content-type": CHAIN}
        )

    def _authorisation(self, heard: Heard, name: str) -> Response:
        found = self._challenges.authorisation(heard.holder, number_of(name), heard.payload)
        return _json(found, headers=_waiting("processing" if found["status"] == "pending" else ""))

    def _challenge(self, heard: Heard, name: str) -> Response:
        found, above = self._challenges.answer(heard.holder, number_of(name), heard.payload)
        up = f'<{self._book.url("authorization", above)}>;rel="up"'
        return _json(found, headers={"link": up, **_waiting(found["status"])})

    def _revoke(self, heard: Heard, _name: str) -> Response:
        revoking.revoke(self._book, heard.account, heard.key, heard.said)
        return Response(200)

    # ---------------------------------------------------------------- refusals
    def _note(self, rule: str) -> None:
        """Count a refusal; the first of its rule in a minute is an event at once."""
        self._write(self._refusals.note("acme.refused", rule, self._book.now()))

    def _write(self, due: list[Event]) -> None:
        """Events into the outbox; who is refused is refused also when the disk is full."""
        if due:
            with suppress(E2SError):
                self._book.together.write(lambda connection: self.outbox.sink(connection).append_all(due))


def _reach(policy: Acme) -> Reach:
    """Where validation may connect to."""
    return Reach(
        networks=policy.networks, hosts=policy.hosts, http_port=policy.http_port, tls_port=policy.tls_port
    )


def _json(document: Document, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, msgspec.json.encode(document), {"content-type": _JSON, **(headers or {})})


def _waiting(state: str) -> dict[str, str]:
    """RFC 8555, 7.5.1 and 7.4: when to look again."""
    return {"retry-after": str(_POLL_SECONDS)} if state == "processing" else {}

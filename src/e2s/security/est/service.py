"""EST's door (RFC 7030, RFC 8951): enrolment over HTTPS, where who asks shows an invitation or a certificate.

It reads and writes; what is certified the desk decides.  A path may name the profile that is wished for:
``/.well-known/est/PROFILE/simpleenroll``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.http import Request, Response, refused
from e2s.security.enrolment.asking import Asked, Desk, Issued, Pending, Shown
from e2s.security.enrolment.setting import DoorSetting
from e2s.security.est import asking, bodies, store
from e2s.security.est.attributes import wanted
from e2s.security.est.keymaking import KeyMaking
from e2s.security.repository.rates import RateLimit, Rates

PREFIX: Final = "/.well-known/est/"
DOOR: Final = "est"
_LABEL: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)
_MAX_LABEL: Final = 64
#: The status of refusals that HTTP has a word for; any other is 400.
_STATUSES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "not-authenticated": 401,
        "bad-credentials": 401,
        "bad-code": 401,
        "wrong-code": 401,
        "tls-needed": 403,
        "too-many-tries": 429,
        "too-many-requests": 429,
        "no-such-path": 404,
        "wrong-method": 405,
        "too-large": 413,
        "wrong-content-type": 415,
    }
)
_RETRY_SECONDS: Final = 60
#: Of each address and of all: a request costs little more than what the desk does.
RATES: Final = Rates(each=1000.0, total=4000.0)


def door(desk: Desk, setting: DoorSetting) -> EstDoor:
    """The handler of ``/.well-known/est``."""
    return EstDoor(desk, setting)


class EstDoor:
    """Answers each operation of EST; safe to share among threads."""

    def __init__(self, desk: Desk, setting: DoorSetting) -> None:
        """``setting`` gives clock, randomness and a folder for keys that are being made."""
        self._desk = desk
        self._clock = setting.clock
        self._rates = RateLimit(RATES)
        self._keys = KeyMaking(desk, setting)
        self.outbox = store.OUTBOX
        #: By operation: its method, and what answers (request, label).
        self._operations: Mapping[str, tuple[str, Callable[[Request, str], Response]]] = {
            "cacerts": ("GET", self._cacerts),
            "csrattrs": ("GET", self._csrattrs),
            "simpleenroll": ("POST", self._enroll),
            "simplereenroll": ("POST", self._reenroll),
            "serverkeygen": ("POST", self._keygen),
        }

    def __call__(self, request: Request) -> Response:
        """The answer; a refusal says its rule in ``e2s-rule`` and in a sentence."""
        try:
            self._rates.take(request.client, self._clock.now())
            operation, label = _asked_for(request.path)
            found = self._operations.get(operation)
            if found is None:
                raise Refusal("no-such-path", "EST has no such operation here")
            method, answer = found
            if request.method != method:
                raise Refusal("wrong-method", "this operation is asked for otherwise", method=method)
            return answer(request, label)
        except Refusal as refusal:
            return _refused(refusal)

    @property
    def database(self) -> Database:
        """Where keys lie and :attr:`outbox` has its rows."""
        return self._keys.database

    def tick(self, now: datetime) -> None:
        """Forget keys that were made for others and have been fetched, or never will be."""
        self._keys.forget(now)

    def close(self) -> None:
        """Close the database of keys."""
        self._keys.close()

    def _cacerts(self, _request: Request, _label: str) -> Response:
        """4.1: the CA, those above it, and the anchor."""
        desk = self._desk
        chain = [one.der for one in (desk.issuer, *desk.chain, desk.root)]
        return _certificates(chain)

    def _csrattrs(self, request: Request, label: str) -> Response:
        """4.5: what a request may say; nothing where nobody showed who asks."""
        if not request.peer and "authorization" not in request.headers:
            return Response(204)
        offer = self._desk.offer(asking.shown(self._desk, request), label, door=DOOR)
        octets = wanted(offer.suites, offer.names).encoded()
        return Response(200, bodies.written(octets), {"content-type": bodies.ATTRIBUTES})

    def _enroll(self, request: Request, label: str) -> Response:
        """4.2.1."""
        by = asking.shown(self._desk, request)
        return self._asked("simpleenroll", label, asking.pkcs10(request), by)

    def _reenroll(self, request: Request, label: str) -> Response:
        """4.2.2: the certificate that is renewed is the one used in TLS."""
        by = asking.held(request)
        return self._asked("simplereenroll", label, asking.pkcs10(request), by)

    def _asked(self, operation: str, label: str, octets: bytes, by: Shown) -> Response:
        asked = Asked(
            door=DOOR,
            transaction=asking.transaction(operation, label, octets, by),
            request=octets,
            shown=by,
            profile=label,
        )
        return _outcome(self._desk.ask(asked))

    def _keygen(self, request: Request, label: str) -> Response:
        """4.4."""
        by = asking.shown(self._desk, request)
        made = self._keys.made(asking.pkcs10(request), by, label)
        if isinstance(made, Pending):
            return _outcome(made)
        return Response(200, bodies.joined(*made), {"content-type": bodies.KEY_AND_CERTIFICATE})


def _asked_for(path: str) -> tuple[str, str]:
    """Operation and label of a path (3.2.2); raises :class:`Refusal` ``no-such-path``."""
    plain = path.partition("?")[0]
    label, slash, operation = plain.removeprefix(PREFIX).partition("/")
    if not plain.startswith(PREFIX):
        raise Refusal("no-such-path", "EST has no such operation here")
    if not slash:
        return label, ""
    if len(label) > _MAX_LABEL or not _LABEL.fullmatch(label):
        raise Refusal("no-such-path", "a label is the name of a profile")
    return operation, label


def _outcome(outcome: Issued | Pending) -> Response:
    """4.2.3: the certificate alone, or when to ask again."""
    if isinstance(outcome, Issued):
        return _certificates([outcome.certificate])
    headers = {"retry-after": str(outcome.retry_seconds), "content-type": "text/plain; charset=utf-8"}
    return Response(202, b"an officer has to say so first: send the same request again", headers)


def _certificates(certificates: list[bytes]) -> Response:
    octets = bodies.written(bodies.bundled(*certificates))
    return Response(200, octets, {"content-type": bodies.CERTIFICATES})


def _refused(refusal: Refusal) -> Response:
    response = refused(refusal, _STATUSES.get(refusal.rule, 400))
    more = {}
    if response.status == 401:
        more["www-authenticate"] = asking.CHALLENGE
    if response.status == 429:
        wait = refusal.facts.get("wait", _RETRY_SECONDS)
        more["retry-after"] = str(wait)
    if response.status == 405:
        more["allow"] = str(refusal.facts["method"])
    return Response(response.status, response.body, {**response.headers, **more})

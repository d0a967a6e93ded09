"""A shop with its outside and inside, buyers with session keys, and a network that can be tampered with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from e2s.base import wire
from e2s.base.http import Request, Response
from e2s.crypto import cms, oids
from e2s.crypto.acts import Act, read_act, sign_act
from e2s.crypto.keys import KeySigner
from e2s.crypto.openers import KeyOpener
from e2s.crypto.ports import Signer
from e2s.crypto.suites import SESSIONS
from e2s.network.sessions.buyer import Choice, LoginRequest, Session, Visit, begin
from e2s.network.sessions.calls import Call
from e2s.network.sessions.doors import direct, front
from e2s.network.sessions.local import LocalExchange, record_traffic
from e2s.network.sessions.login import Binding
from e2s.network.sessions.merchant import Caller, Limits, Serve, Sessions
from e2s.network.sessions.pages import Shop
from e2s.security.verification.trust import Trust
from tests.network.settings import Randomness
from tests.worlds.pki import Pki, SetClock, make_pki

SUITES = tuple(SESSIONS)
SPKI = b"F" * 32


@dataclass
class Seller:
    """A merchant's keys and its inside; ``served`` is every call that took effect."""

    pki: Pki
    clock: SetClock
    party: str
    suites: tuple[str, ...] = SUITES
    location: str = "*"
    plain: bool = False
    limits: Limits = field(default_factory=Limits)
    served: list[tuple[str, Call]] = field(default_factory=list)
    starts: int = 0
    front_keys: tuple[bytes, ...] = (SPKI,)

    def __post_init__(self) -> None:
        self.name = f"urn:e2s:{self.pki.community}:{self.party}"
        self.origin = f"https://{self.party}.example:443"
        self.signer = self.pki.signer("merchant", (self.name, self.origin))
        self.opener = self.pki.opener("merchant-agreement", self.name)
        self.trust: Trust = self.pki.trust(self.clock)
        self.restart()

    def restart(self) -> None:
        """What is in memory is gone; the keys, elsewhere, are not."""
        self.starts += 1
        self.shop = Shop(
            merchant=self.name,
            origin=self.origin,
            suites=self.suites,
            location=self.location,
            signing=self.signer.certificate,
            agreement=self.opener.certificate,
            chain=self.signer.chain,
            fronts=self.front_keys,
            plain=self.plain,
        )
        self.sessions = Sessions(
            self.shop,
            checker=self.trust,
            open_envelope=self.open_envelope,
            sign_document=self.sign_document,
            clock=self.clock,
            random=Randomness(f"{self.party}{self.starts}".encode()),
            limits=self.limits,
        )
        self.serve_by(self.serve)

    def serve_by(self, serve: Serve) -> None:
        """The same sessions, served by ``serve`` from now on."""
        self.door = front(direct(self.sessions, serve))

    def handle(self, request: Request) -> Response:
        return self.door(request)

    def open_envelope(self, octets: bytes) -> bytes:
        return cms.open_sealed(octets, self.opener)[1]

    def sign_document(self, document: wire.Document, over: Sequence[bytes]) -> bytes:
        return sign_act(document, over, self.signer, self.clock.now())

    def serve(self, caller: Caller, call: Call) -> wire.Document:
        self.served.append((caller.certificate.name, call))
        return {"echo": call.args, "op": call.op}

    def ops(self) -> list[str]:
        return [call.op for _, call in self.served]


class Market:
    """Everything in one process; ``traffic`` is what an eavesdropper has."""

    def __init__(self, *, spki: bytes = SPKI, **seller) -> None:
        self.clock = SetClock()
        self.pki = make_pki()
        self.volt = Seller(self.pki, self.clock, "volt", **seller)
        self.traffic: list[tuple[str, Request, Response]] = []
        self.exchange = LocalExchange(
            {self.volt.origin: self.volt.handle},
            spkis={self.volt.origin: spki},
            faults=[record_traffic(self.traffic)],
        )
        self.trust = self.pki.trust(self.clock)
        self.random = Randomness(b"wallets")
        self.anna = self.buyer("anna")

    def buyer(self, person: str, **more) -> KeySigner:
        return self.pki.signer("buyer-session", f"urn:e2s:market:north:{person}", **more)

    def choice(self, **changes) -> Choice:
        chosen = Choice(merchant=self.volt.name, origin=self.volt.origin, suites=SUITES)
        return replace(chosen, **changes)

    def visit(self, signer: Signer | None = None, *, trust: Trust | None = None, **changes) -> Visit:
        return Visit.open(
            self.exchange,
            choice=self.choice(**changes),
            signer=signer or self.anna,
            checker=trust or self.trust,
            clock=self.clock,
            random=self.random,
        )

    def begin(
        self, page: bytes | None = None, signer: KeySigner | None = None, tls=None, **changes
    ) -> LoginRequest:
        return begin(
            page or self.volt.sessions.page(),
            choice=self.choice(**changes),
            tls=tls or Binding.of(SPKI),
            signer=signer or self.anna,
            checker=self.trust,
            random=self.random,
            at=self.clock.now(),
        )

    def finish(self, login: LoginRequest, answer: bytes) -> Session:
        return login.finish(answer, checker=self.trust, at=self.clock.now())

    def agreed(self) -> Session:
        """A session in the seller's table and the buyer's end of it, with no carrier between."""
        login = self.begin()
        return self.finish(login, self.volt.sessions.login(login.octets))

    def opened(self, login: LoginRequest) -> Act:
        """The login's signed act, as the merchant's key handler sees it."""
        return read_act(self.volt.open_envelope(login.octets))

    def sealed(self, document: wire.Document, signer: KeySigner, opener: KeyOpener | None = None) -> bytes:
        """A login of any content, signed by ``signer``, sealed to the shop (or to another)."""
        at = self.clock.now()
        whole = {**document, "from": signer.certificate.id, "at": wire_instant(at)}
        signed = sign_act(whole, [], signer, at)
        to = (opener or self.volt.opener).certificate
        return cms.seal(signed, oids.ACT, [to], self.random)


def wire_instant(at) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")

"""Targets of the room of enrolment: forms, codes, requests and what they name, policies, officers' decisions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import mkdtemp

from e2s.base import wire
from e2s.base.http import Request, Response
from e2s.base.instants import format_instant
from e2s.crypto.pem import armoured
from e2s.network.sessions.forms import read_form
from e2s.security.enrolment import deciding
from e2s.security.enrolment.asking import Asked, Issued
from e2s.security.enrolment.client import enrol
from e2s.security.enrolment.invitations import code_of, read_code
from e2s.security.enrolment.naming import check_request
from e2s.security.enrolment.policy import read_policy
from e2s.security.enrolment.service import read_pkcs10
from tests.fuzz.ground import the_same
from tests.fuzz.shapes import bent, der_bent, document_bent
from tests.fuzz.target import Target, promised
from tests.worlds.enrolment import ANNA, OSKAR, World, csr
from tests.worlds.pki import START

_BOUNDARY = "----a-boundary"
_CODE = code_of("0123abcd", b"-".join([b"wxyz"] * 8))


@cache
def _world() -> World:
    with the_same("enrolment"):
        made = World(Path(mkdtemp(prefix="e2s-fuzz-")))
        made.officer(OSKAR)
    return made


@cache
def _request() -> bytes:
    with the_same("enrolment-request"):
        return csr(ANNA)


@cache
def _case() -> str:
    """A request that waits."""
    with the_same("enrolment-case"):
        shown = _world().invited("code-signing")
        _world().desk.ask(Asked(door="enrol", transaction=b"1", request=_request(), shown=shown))
    return deciding.waiting(_world().office)[0].case


def _form(octets: bytes) -> None:
    kinds = (f"multipart/form-data; boundary={_BOUNDARY}", "application/x-www-form-urlencoded")
    for kind in kinds[:: 1 if octets.startswith(b"--") else -1]:
        fields = read_form(Request("POST", "/enrol", octets, {"content-type": kind}))
        promised(sum(map(len, fields.values())) <= 2 * len(octets), "a form's fields are within it")


def _form_seeds() -> Iterator[bytes]:
    yield b"code=abc&request=%2B%2B&empty="
    yield parts({"code": b"abc", "file": b"0\x00\r\n--x\r\n", "request": b""})


def parts(fields: dict[str, bytes], boundary: str = _BOUNDARY) -> bytes:
    """A form as a browser sends it."""
    mark = b"--" + boundary.encode()
    head = b'\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    whole = b"".join(mark + head % name.encode() + value + b"\r\n" for name, value in fields.items())
    return whole + mark + b"--\r\n"


def _code(octets: bytes) -> None:
    reference, secret = read_code(octets.decode("utf-8", "replace"))
    promised(read_code(code_of(reference, secret)) == (reference, secret), "a code has one form")


def _decision(octets: bytes) -> None:
    """What an officer's own tool might sign is about one request, or refused and changes nothing."""
    document = wire.decode(octets)
    document["at"] = format_instant(START)
    word = deciding.sign_decision(document, _world().officer(OSKAR))
    row = deciding.decide(_world().office, word)
    promised(row.decided_by == OSKAR, "only the officer decided")


def _decision_seeds() -> Iterator[bytes]:
    yield wire.encode(deciding.decision_document(_world().office, _case(), OSKAR, "approve"))


class _Answering:
    """A door that answers so."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def send(self, _origin: str, _request: Request) -> Response:
        return Response(200, self._body)


def _answer(octets: bytes) -> None:
    enrol(_Answering(octets), "http://127.0.0.1", _CODE, _request())


def _answer_seeds() -> Iterator[bytes]:
    with the_same("enrolment-answer"):
        shown = _world().invited()
        made = _world().desk.ask(Asked(door="enrol", transaction=b"2", request=_request(), shown=shown))
    assert isinstance(made, Issued)
    yield armoured(made.certificate, b"CERTIFICATE") + _world().pki.operating.pem


def _policy_seeds() -> Iterator[bytes]:
    yield files("e2s.security.enrolment").joinpath("policy.toml").read_bytes()


TARGETS = (
    Target(name="web-form", read=_form, seeds=_form_seeds, mutate=bent),
    Target(
        name="invitation-code",
        read=_code,
        seeds=lambda: [_CODE.encode(), _CODE.upper().encode()],
        mutate=bent,
    ),
    Target(
        name="pkcs10-block",
        read=read_pkcs10,
        seeds=lambda: [_request(), armoured(_request(), b"CERTIFICATE REQUEST")],
        mutate=bent,
    ),
    Target(
        name="pkcs10-names",
        read=lambda octets: check_request(octets, (ANNA,)),
        seeds=lambda: [_request()],
        mutate=der_bent,
    ),
    Target(name="enrolment-policy", read=read_policy, seeds=_policy_seeds, mutate=bent),
    Target(name="enrolment-decision", read=_decision, seeds=_decision_seeds, mutate=document_bent, short=60),
    Target(name="enrolment-answer", read=_answer, seeds=_answer_seeds, mutate=bent),
)

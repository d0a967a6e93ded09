"""Validation connects to strangers' hosts: what it reaches, how long it waits, how much it reads."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from e2s.base.errors import Misuse, Refusal
from e2s.base.http import Request
from e2s.base.instants import SystemClock
from e2s.security.acme import fetching
from e2s.security.acme.identifiers import Identifier
from e2s.security.acme.reach import Reach
from e2s.security.acme.responders import FileResponder, HandshakeResponder
from e2s.security.acme.validation import HTTP, PATH, TLS, Proof, check_shown, validator

HOST, OTHER = Identifier("dns", "shop.alpha.example"), Identifier("dns", "desk.alpha.example")


def rule(act, *arguments, **named) -> str:
    with pytest.raises(Refusal) as caught:
        act(*arguments, **named)
    return caught.value.rule


def proof(kind: str, host: Identifier = HOST) -> Proof:
    return Proof(kind=kind, host=host, token="token-1", authorisation="token-1.thumbprint")


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket, bytes], None]) -> Iterator[tuple[int, list[bytes]]]:
    """A server of raw octets on loopback, and the requests that it saw."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    line, _ = listening.accept()
                except OSError:
                    return
                with line, contextlib.suppress(OSError):
                    line.settimeout(10)
                    seen.append(line.recv(4096))
                    answer(line, seen[-1])

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1], seen
        listening.shutdown(socket.SHUT_RDWR)


def told(octets: bytes) -> Callable[[socket.socket, bytes], None]:
    return lambda line, _: line.sendall(octets)


def reach(port: int, **more) -> Reach:
    members = {"hosts": {HOST.value: "127.0.0.1"}, "http_port": port, "tls_port": port, **more}
    return Reach(**members)


# ---------------------------------------------------------------- where to
@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("127.255.0.9", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::a00:1", False),
        ("2002:7f00:1::1", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("fc00::1", False),
        ("fd12:3456:789a::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("no address", False),
    ],
)
def test_only_public_addresses_are_reached(address, good):
    assert Reach().permits(address) is good
    if not good:
        resolved = Reach(resolve=lambda _: [address])
        assert rule(resolved.connect, "shop.example", 80, time.monotonic() + 5) == "network-not-permitted"


def test_a_network_that_the_policy_names_is_reached_and_no_other():
    inside = Reach(networks=("10.0.0.0/8", "fd00::/8"))
    assert inside.permits("10.1.2.3")
    assert inside.permits("::ffff:10.1.2.3")
    assert inside.permits("fd12::1")
    assert not inside.permits("192.168.1.1")
    assert not inside.permits("127.0.0.1")


def test_a_name_is_looked_up_once_and_what_was_judged_is_connected_to():
    """Who answers differently the second time gains nothing by it."""
    asked: list[str] = []

    def rebinding(host: str) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"] if len(asked) > 1 else ["127.0.0.1"]

    assert (
        rule(Reach(resolve=rebinding).connect, "shop.example", 80, time.monotonic() + 5)
        == "network-not-permitted"
    )
    assert asked == ["shop.example"]
    mixed = Reach(networks=("127.0.0.2/32",), resolve=lambda _: ["10.0.0.1", "127.0.0.2"])
    with (
        socket.create_server(("127.0.0.2", 0)) as listening,
        mixed.connect("shop.example", listening.getsockname()[1], time.monotonic() + 5) as line,
    ):
        assert line.getpeername()[0] == "127.0.0.2"


def test_a_host_without_an_address_or_a_listener_is_told():
    def none(_host: str) -> list[str]:
        raise socket.gaierror("no such host")

    soon = time.monotonic() + 5
    assert rule(Reach(resolve=none).connect, "shop.example", 80, soon) == "no-such-host"
    assert rule(Reach(resolve=lambda _: []).connect, "shop.example", 80, soon) == "no-such-host"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert rule(reach(port).connect, HOST.value, port, soon) == "unreachable"
    assert rule(reach(port).connect, HOST.value, port, time.monotonic() - 1) == "unreachable"


@pytest.mark.parametrize(
    "members",
    [
        {"networks": ("x",)},
        {"networks": ("10.0.0.1/8",)},
        {"hosts": {"a": "b"}},
        {"hosts": {"a": "127.0.0.1:0"}},
        {"hosts": {"a": "127.0.0.1:x"}},
        {"http_port": 0},
        {"tls_port": 70_000},
    ],
    ids=str,
)
def test_a_reach_that_cannot_be_is_misuse(members):
    with pytest.raises(Misuse, match="bad-reach"):
        Reach(**members)


def test_a_host_may_be_at_an_address_and_port_of_its_own():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        for place in (f"127.0.0.1:{port}",):
            with Reach(hosts={"a.example": place}).connect("a.example", 80, time.monotonic() + 5) as line:
                assert line.getpeername()[1] == port


# ---------------------------------------------------------------- files
GOOD = b"token-1.thumbprint"


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n" + GOOD,
        b"HTTP/1.0 200 OK\r\n\r\n" + GOOD + b"\r\n \t\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n12\r\n" + GOOD + b"\r\n0\r\n\r\n",
    ],
    ids=["length", "close", "chunked"],
)
def test_a_file_is_read_however_its_end_is_told(octets):
    with serving(told(octets)) as (port, seen):
        validator(reach(port))(proof(HTTP))
    assert seen[0].startswith(f"GET {PATH}token-1 HTTP/1.1\r\nHost: {HOST.value}\r\n".encode())


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"", "broken-answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\ntoken-1", "wrong-answer"),
        (b"HTTP/1.1 200 OK\r\n\r\ntoken-1.thumbprinT", "wrong-answer"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + GOOD + b"x", "wrong-answer"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000, "answer-too-large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 70_000, "answer-too-large"),
        (
            b"HTTP/1.1 200 OK\r\n"
            + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 900) for n in range(90))
            + b"\r\n"
            + GOOD,
            "broken-answer",
        ),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n" + GOOD, "broken-answer"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "answer-status"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "answer-status"),
        (b"SSH-2.0-OpenSSH\r\n", "broken-answer"),
        (b"HTTP/1.1 302 Found\r\nLocation: ftp://shop.alpha.example/\r\n\r\n", "bad-redirect"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://u:p@shop.alpha.example/\r\n\r\n", "bad-redirect"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://shop.alpha.example/" + b"x" * 3000 + b"\r\n\r\n",
            "bad-redirect",
        ),
        (b"HTTP/1.1 302 Found\r\nLocation: http://shop.alpha.example/\xff\r\n\r\n", "bad-redirect"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[::1/\r\n\r\n", "bad-redirect"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://-x.example/\r\n\r\n", "bad-identifier"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://shop.alpha.example:22/\r\n\r\n", "port-not-permitted"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", "network-not-permitted"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[::1]/\r\n\r\n", "network-not-permitted"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\n\r\n",
            "network-not-permitted",
        ),
        (b"HTTP/1.1 302 Found\r\nLocation: http://2130706433/\r\n\r\n", "network-not-permitted"),
        (b"HTTP/1.1 302 Found\r\n\r\n", "too-many-redirects"),
    ],
    ids=lambda value: value[:60].decode("latin-1") if isinstance(value, bytes) else value,
)
def test_a_hostile_host_is_refused_by_rule(octets, expected):
    inside = {"resolve": lambda host: ["127.0.0.1"] if host.isdigit() else []}
    with serving(told(octets)) as (port, seen):
        assert rule(validator(reach(port, **inside)), proof(HTTP)) == expected
    if expected == "too-many-redirects":
        assert len(seen) == fetching.MOST_REDIRECTS + 1


def test_redirections_are_followed_to_where_it_is():
    def answer(line: socket.socket, request: bytes) -> None:
        if PATH.encode() in request:
            line.sendall(b"HTTP/1.1 301 Moved\r\nLocation: /there?x=1\r\n\r\n")
        elif b"GET /there?x=1 " in request:
            line.sendall(b"HTTP/1.1 307 Moved\r\nLocation: http://desk.alpha.example/last\r\n\r\n")
        else:
            line.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + GOOD)

    hosts = {HOST.value: "127.0.0.1", OTHER.value: "127.0.0.1"}
    with serving(answer) as (port, seen):
        validator(reach(port, hosts=hosts))(proof(HTTP))
    assert b"Host: desk.alpha.example\r\n" in seen[-1]


def test_a_redirection_to_tls_is_followed_whatever_its_certificate(tmp_path):
    from e2s.network.sessions.server import Served
    from tests.worlds.enrolment import World

    world = World(tmp_path, clock=SystemClock())
    responder = FileResponder()
    responder.show(proof(HTTP))
    redirect = f"HTTP/1.1 302 Found\r\nLocation: https://{HOST.value}{PATH}token-1\r\n\r\n".encode()
    with Served(responder, tls=world.tls_files()) as secured, serving(told(redirect)) as (port, _):
        validator(reach(port, tls_port=secured.port))(proof(HTTP))
    with serving(told(b"no TLS")) as (plain, _), serving(told(redirect)) as (port, _):
        assert rule(validator(reach(port, tls_port=plain)), proof(HTTP)) == "bad-handshake"
    world.close()


def test_who_drips_is_not_waited_for():
    def drip(line: socket.socket, _request: bytes) -> None:
        for octet in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000:
            line.sendall(bytes((octet,)))
            time.sleep(0.05)

    def nothing(line: socket.socket, _request: bytes) -> None:
        line.recv(1)

    for answer in (drip, nothing):
        with serving(answer) as (port, _):
            begun = time.monotonic()
            assert rule(validator(reach(port), seconds=0.4), proof(HTTP)) == "timed-out"
            assert rule(validator(reach(port), seconds=0.4), proof(TLS)) in {"timed-out", "bad-handshake"}
            assert time.monotonic() - begun < 8


def test_our_responder_shows_a_file_until_it_is_hidden():
    responder = FileResponder()
    responder.show(proof(HTTP))
    with responder.served("127.0.0.1", 0) as served:
        validator(reach(served.port))(proof(HTTP))
        responder.hide(proof(HTTP))
        assert rule(validator(reach(served.port)), proof(HTTP)) == "answer-status"
    assert responder(Request("POST", PATH + "token-1")).status == 404


# ---------------------------------------------------------------- handshakes
@pytest.fixture(scope="module")
def shaking():
    with HandshakeResponder(SystemClock(), "127.0.0.1", 0) as made:
        yield made


def test_a_handshake_proves_a_name_or_an_address(shaking):
    for host in (HOST, Identifier("ip", "127.0.0.1")):
        shown = proof(TLS, host)
        shaking.show(shown)
        validator(reach(shaking.port, networks=("127.0.0.1/32",)))(shown)
        shaking.hide(shown)
        assert rule(validator(reach(shaking.port, networks=("127.0.0.1/32",))), shown) == "bad-handshake"


def test_a_handshake_for_another_token_or_host_proves_nothing(shaking):
    shaking.show(proof(TLS))
    other = Proof(kind=TLS, host=HOST, token="token-2", authorisation="token-2.thumbprint")
    assert rule(validator(reach(shaking.port)), other) == "wrong-certificate"
    hosts = {OTHER.value: "127.0.0.1"}
    shaking._contexts[OTHER.value] = shaking._contexts[HOST.value]
    assert rule(validator(reach(shaking.port, hosts=hosts)), proof(TLS, OTHER)) == "wrong-certificate"
    shaking.hide(proof(TLS))
    shaking.hide(proof(TLS, OTHER))


def test_a_server_that_does_not_know_the_protocol_proves_nothing(tmp_path):
    from e2s.network.sessions.server import Served
    from tests.worlds.enrolment import World

    world = World(tmp_path, clock=SystemClock())
    with Served(FileResponder(), tls=world.tls_files(HOST.value)) as served:
        assert rule(validator(reach(served.port)), proof(TLS)) in {"no-alpn", "bad-handshake"}
    world.close()


def test_a_certificate_answers_one_host_and_one_challenge():
    made = HandshakeResponder(SystemClock(), "127.0.0.1", 0)
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    def der(one: Proof) -> bytes:
        pem = made._certified(one)["certificate"]
        return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)

    good = der(proof(TLS))
    check_shown(good, HOST, GOOD.decode())
    for octets, host, authorisation in (
        (good, OTHER, GOOD.decode()),
        (good, HOST, "token-2.thumbprint"),
        (good, Identifier("ip", "127.0.0.1"), GOOD.decode()),
        (good[:-20], HOST, GOOD.decode()),
        (b"", HOST, GOOD.decode()),
        (made_plain(), HOST, GOOD.decode()),
    ):
        assert rule(check_shown, octets, host, authorisation) == "wrong-certificate"
    made._socket.close()


def made_plain() -> bytes:
    """A usual certificate of the host, without the challenge's extension."""
    from tests.worlds.pki import make_pki

    return make_pki().issue("tls-server", HOST.value)[0].der

"""The client against real servers: uvicorn in a thread, raw sockets that break answers, a real proxy."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.base.http import Request, Response
from e2s.crypto.certificates import Certificate
from e2s.network.sessions.client import HttpExchange, Origin
from e2s.network.sessions.server import Served
from e2s.network.sessions.tls import spki_digest
from tests.network.authority import Authority


def echo(request: Request) -> Response:
    """Answers with what arrived."""
    if request.path == "/refuse":
        raise Refusal("just-no", "because")
    if request.path == "/away":
        raise Unreachable("unreachable", "the inside is away")
    if request.path == "/break":
        raise RuntimeError("a secret that nobody may see")
    head = f"{request.method} {request.path} {request.headers.get('x-note', '')}|".encode()
    return Response(200, head + request.body, {"x-seen": "yes"})


@contextmanager
def raw_server(*scripts: bytes | list[bytes] | None):
    """A server with a script for each connection: an answer, None for no answer, or a list of answers."""
    listening = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def run() -> None:
        for script in scripts:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                for answer in script if isinstance(script, list) else [script]:
                    seen.append(connection.recv(65536))
                    if answer is not None:
                        connection.sendall(answer)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", seen
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)


GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_an_exchange_carries_method_path_headers_and_body_both_ways():
    with Served(echo) as served, meter.measured() as spent:
        exchange = HttpExchange()
        response = exchange.send(served.origin, Request("POST", "/a?b=c", b"\x00\xff", {"x-note": "n"}))
        assert response.status == 200
        assert response.body == b"POST /a?b=c n|\x00\xff"
        assert response.headers["x-seen"] == "yes"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "server" not in response.headers
        assert response.spki == b""
        exchange.close()
    assert spent == {"hop": 1}


def test_what_is_quick_is_answered_without_another_thread():
    def handle(_request):
        return Response(200, threading.current_thread().name.encode())

    with Served(handle, quick=lambda request: request.path == "/quick") as served:
        exchange = HttpExchange()
        names = [exchange.send(served.origin, Request("GET", path)).body for path in ("/quick", "/slow")]
        exchange.close()
    assert not names[0].startswith(b"door")
    assert names[1].startswith(b"door")


def test_one_connection_serves_many_exchanges():
    ports = []

    def handler(request: Request) -> Response:
        return Response(200, b"x")

    with Served(handler) as served:
        exchange = HttpExchange()
        for _ in range(5):
            exchange.send(served.origin, Request("GET", "/"))
            kept = exchange._kept.connections[served.origin]
            ports.append(kept.line.sock.getsockname()[1])
        exchange.close()
    assert len(set(ports)) == 1


def test_head_and_empty_answers_leave_the_connection_in_step():
    with Served(lambda r: Response(200, b"" if r.path == "/none" else b"body")) as served:
        exchange = HttpExchange()
        assert exchange.send(served.origin, Request("HEAD", "/")).body == b""
        assert exchange.send(served.origin, Request("GET", "/none")).body == b""
        assert exchange.send(served.origin, Request("GET", "/")).body == b"body"
        exchange.close()


def test_a_refusal_comes_back_in_its_own_words_and_an_error_shows_nothing():
    with Served(echo) as served:
        exchange = HttpExchange()
        refused = exchange.send(served.origin, Request("POST", "/refuse"))
        assert (refused.status, refused.headers["e2s-rule"], refused.body) == (400, "just-no", b"because")
        broken = exchange.send(served.origin, Request("POST", "/break"))
        assert (broken.status, broken.body) == (500, b"")
        assert "secret" not in repr(broken)
        with pytest.raises(Unreachable):
            exchange.send(served.origin, Request("POST", "/away"))
        exchange.close()


def test_a_stale_kept_connection_is_replaced_once():
    exchange = HttpExchange()
    with Served(echo) as served:
        port = served.port
        exchange.send(served.origin, Request("GET", "/1"))
    with Served(echo, port=port) as served:
        assert exchange.send(served.origin, Request("GET", "/2")).body == b"GET /2 |"
    with pytest.raises(Unreachable):
        exchange.send(served.origin, Request("GET", "/3"))
    exchange.close()


def test_a_kept_connection_that_broke_within_its_answer_is_not_tried_again():
    with raw_server([GOOD, b"HTTP/1.1 200 OK\r\nContent-Le"], GOOD) as (origin, seen):
        exchange = HttpExchange(timeout_seconds=10)
        assert exchange.send(origin, Request("GET", "/")).body == b"ok"
        with pytest.raises(Unreachable):
            exchange.send(origin, Request("GET", "/"))
        assert len(seen) == 2
        exchange.close()


def test_an_answer_that_nobody_asked_for_is_never_taken_for_the_next():
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    with raw_server(GOOD + forged, GOOD) as (origin, seen):
        exchange = HttpExchange(timeout_seconds=10)
        for number in range(2):
            assert exchange.send(origin, Request("GET", f"/{number}")).body == b"ok"
        assert len(seen) == 2
        exchange.close()


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nno end announced",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n" + bytes(0x10000) + b"\r\n" * 1,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
        b"not http at all\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_no_whole_answer_is_unreachable(answer):
    with raw_server(answer) as (origin, _):
        exchange = HttpExchange(timeout_seconds=20)
        with pytest.raises(Unreachable):
            exchange.send(origin, Request("GET", "/"))
        exchange.close()


def test_a_chunked_answer_is_read_to_its_end():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with raw_server(chunked) as (origin, _):
        exchange = HttpExchange()
        assert exchange.send(origin, Request("GET", "/")).body == b"abcde"
        exchange.close()


def test_an_answer_that_ends_its_connection_is_read_to_its_end():
    size = 300_000
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
    with raw_server(head + bytes(size), GOOD) as (origin, seen):
        exchange = HttpExchange(timeout_seconds=10)
        assert exchange.send(origin, Request("GET", "/")).body == bytes(size)
        assert exchange.send(origin, Request("GET", "/")).body == b"ok"
        assert len(seen) == 2
        exchange.close()


def test_a_silent_server_ends_with_the_time_out():
    listening = socket.create_server(("127.0.0.1", 0))
    exchange = HttpExchange(timeout_seconds=0.2)
    with pytest.raises(Unreachable) as caught:
        exchange.send(f"http://127.0.0.1:{listening.getsockname()[1]}", Request("GET", "/"))
    assert caught.value.rule == "timed-out"
    listening.close()


def test_an_answer_that_drips_ends_with_the_time_out():
    listening = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.wait(0.01):
                try:
                    connection.sendall(b".")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    exchange = HttpExchange(timeout_seconds=0.5)
    with pytest.raises(Unreachable) as caught:
        exchange.send(f"http://127.0.0.1:{listening.getsockname()[1]}", Request("GET", "/"))
    assert caught.value.rule == "timed-out"
    stop.set()
    thread.join(10)
    listening.close()


def test_an_oversized_answer_is_unreachable_and_an_oversized_request_refused():
    with Served(lambda _: Response(200, bytes(2000)), max_body_bytes=1000) as served:
        exchange = HttpExchange(max_body_bytes=1500)
        with pytest.raises(Unreachable):
            exchange.send(served.origin, Request("GET", "/"))
        refused = exchange.send(served.origin, Request("POST", "/", bytes(1001)))
        assert (refused.status, refused.headers["e2s-rule"]) == (413, "too-large")
        with pytest.raises(Unreachable):
            exchange.send(served.origin, Request("POST", "/", bytes(1000)))
        exchange.close()


def test_a_chunked_request_is_bounded_and_joined():
    with Served(echo, max_body_bytes=10) as served:
        head = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        for chunks, status in (
            (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b" 200 "),
            (b"b\r\n01234567890\r\n0\r\n\r\n", b" 413 "),
        ):
            with socket.create_connection(("127.0.0.1", served.port), 20) as sock:
                sock.sendall(head + chunks)
                answer = b""
                while part := sock.recv(65536):
                    answer += part
            assert status in answer.split(b"\r\n", 1)[0]
            assert (b"POST /c |abcde" in answer) == (status == b" 200 ")


def test_what_cannot_be_sent_is_misuse():
    exchange = HttpExchange()
    for origin in ("ftp://x:1", "http://x:0", "http://x:99999", "http://x/", "http://u@x:1", "x:1", ""):
        with pytest.raises(Misuse):
            exchange.send(origin, Request("GET", "/"))
    for path in ("", "x", "/a b", "/a\r\nx: y", "/ä"):
        with pytest.raises(Misuse):
            exchange.send("http://127.0.0.1:9", Request("GET", path))
    with pytest.raises(Misuse):
        HttpExchange(proxy="https://127.0.0.1:9")
    with pytest.raises(Misuse):
        HttpExchange(anchors=b"nonsense")


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z0-9.:\[\]-]{1,20}(:[0-9]{1,6})?", fullmatch=True))
def test_an_origin_is_read_or_misused(text):
    try:
        origin = Origin.parse(text)
    except Misuse:
        return
    assert Origin.parse(f"{origin.scheme}://{origin.authority}") == origin


def test_headers_that_would_split_the_request_are_misuse():
    with Served(echo) as served:
        exchange = HttpExchange()
        with pytest.raises(Misuse):
            exchange.send(served.origin, Request("GET", "/", b"", {"x-note": "a\r\nx-evil: b"}))
        exchange.close()


def test_tls_shows_the_servers_key(tmp_path):
    authority = Authority()
    files = authority.tls_files(tmp_path)
    with Served(echo, tls=files) as served:
        exchange = HttpExchange(anchors=authority.root.pem)
        for _ in range(2):
            response = exchange.send(served.origin, Request("POST", "/t", b"x"))
            assert response.body == b"POST /t |x"
            assert response.spki == spki_digest(Certificate.read(files.certificate_file.read_bytes()).der)
        exchange.close()


def test_tls_of_another_root_or_host_is_unreachable(tmp_path):
    authority = Authority()
    with Served(echo, tls=authority.tls_files(tmp_path / "a")) as served:
        stranger = HttpExchange(anchors=Authority().root.pem)
        with pytest.raises(Unreachable) as caught:
            stranger.send(served.origin, Request("GET", "/"))
        assert "verif" in str(caught.value).lower()
        with pytest.raises(Misuse):
            HttpExchange().send(served.origin, Request("GET", "/"))
    exchange = HttpExchange(anchors=authority.root.pem)
    for number, host in enumerate(("shop.example", "*.localhost", "127.0.0.2")):
        with Served(echo, tls=authority.tls_files(tmp_path / str(number), host)) as served:
            for target in (served.origin, served.origin.replace("127.0.0.1", "localhost")):
                with pytest.raises(Unreachable):
                    exchange.send(target, Request("GET", "/"))


def test_a_wildcard_is_not_a_name(tmp_path):
    from e2s.network.sessions.tls import check_host

    authority = Authority()
    wild = Certificate.read(
        authority.tls_files(tmp_path / "w", "*.shop.example").certificate_file.read_bytes()
    )
    plain = Certificate.read(
        authority.tls_files(tmp_path / "p", "a.shop.example").certificate_file.read_bytes()
    )
    with pytest.raises(Refusal):
        check_host(wild.der, "a.shop.example")
    check_host(plain.der, "A.shop.example")


@contextmanager
def tunnel_to(port: int):
    """A proxy that joins any CONNECT, whatever host it names, to ``port`` of this machine."""
    listening = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                sink.sendall(octets)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                with near, socket.create_connection(("127.0.0.1", port)) as far:
                    near.recv(65536)
                    near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    back = threading.Thread(target=pump, args=(far, near), daemon=True)
                    back.start()
                    pump(near, far)
                    back.join(10)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)


@pytest.mark.parametrize(("certified", "good"), [("a.shop.example", True), ("*.shop.example", False)])
def test_the_exact_name_is_demanded_of_a_real_server(tmp_path, certified, good):
    authority = Authority()
    with (
        Served(echo, tls=authority.tls_files(tmp_path, certified)) as served,
        tunnel_to(served.port) as proxy_origin,
    ):
        exchange = HttpExchange(proxy=proxy_origin, anchors=authority.root.pem, timeout_seconds=10)
        if good:
            assert exchange.send("https://a.shop.example:443", Request("GET", "/")).body == b"GET / |"
        else:
            with pytest.raises(Unreachable) as caught:
                exchange.send("https://a.shop.example:443", Request("GET", "/"))
            assert caught.value.rule == "wrong-host"
        exchange.close()


def test_tls_below_1_3_is_not_spoken(tmp_path):
    import ssl

    with Served(echo, tls=Authority().tls_files(tmp_path)) as served:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection(("127.0.0.1", served.port), 20) as sock, pytest.raises(ssl.SSLError):
            context.wrap_socket(sock)


@pytest.fixture
def proxy(tmp_path):
    """Debian's tinyproxy on a free port; yields its origin."""
    program = shutil.which("tinyproxy")
    if program is None:
        pytest.skip("needs tinyproxy")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = tmp_path / "tinyproxy.conf"
    settings.write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\nMaxClients 20\n"
        f'LogFile "{tmp_path}/proxy.log"\nLogLevel Connect\nPidFile "{tmp_path}/proxy.pid"\n'
    )
    process = subprocess.Popen([program, "-d", "-c", str(settings)], stdout=subprocess.DEVNULL)
    try:
        _until_listening(process, port)
        yield f"http://127.0.0.1:{port}", tmp_path / "proxy.log"
    finally:
        process.terminate()
        process.wait(20)


def _until_listening(process: subprocess.Popen, port: int) -> None:
    for _ in range(200):
        assert process.poll() is None
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            threading.Event().wait(0.05)
        else:
            return
    raise AssertionError("the proxy does not listen")


@pytest.mark.tool
def test_a_proxy_carries_plain_and_tls_and_sees_only_where(tmp_path, proxy):
    origin, log = proxy
    authority = Authority()
    files = authority.tls_files(tmp_path / "tls")
    exchange = HttpExchange(proxy=origin, anchors=authority.root.pem)
    with Served(echo) as plain, Served(echo, tls=files) as secured:
        for number in range(3):
            answer = exchange.send(plain.origin, Request("POST", f"/p?n={number}", b"body", {"x-note": "n"}))
            assert answer.body == f"POST /p?n={number} n|body".encode()
            answer = exchange.send(secured.origin, Request("POST", "/hidden", b"y"))
            assert answer.body == b"POST /hidden |y"
            assert answer.spki == spki_digest(Certificate.read(files.certificate_file.read_bytes()).der)
    text = log.read_text()
    assert f"CONNECT 127.0.0.1:{secured.port}" in text
    assert f"http://127.0.0.1:{plain.port}/p?n=0" in text
    assert "hidden" not in text
    for gone in (plain.origin, secured.origin):
        with pytest.raises(Unreachable):
            exchange.send(gone, Request("GET", "/"))
    exchange.close()


def test_a_proxy_that_refuses_or_breaks_is_unreachable():
    authority = Authority()
    for script in (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", b"garbage\r\n\r\n", None):
        with raw_server(script) as (origin, seen):
            exchange = HttpExchange(proxy=origin, anchors=authority.root.pem, timeout_seconds=10)
            with pytest.raises(Unreachable):
                exchange.send("https://shop.example:443", Request("POST", "/secret", b"body"))
        assert b"CONNECT shop.example:443 HTTP/1.1\r\n" in seen[0]
        assert b"secret" not in seen[0]


def test_ticks_come_until_the_server_stops():
    ticked = threading.Semaphore(0)
    calls = []

    def tick() -> None:
        calls.append(1)
        ticked.release()
        raise RuntimeError("a failing tick is tried again")

    with Served(echo, tick=tick, tick_seconds=0.01):
        for _ in range(3):
            assert ticked.acquire(timeout=20)
    after = len(calls)
    threading.Event().wait(0.05)
    assert len(calls) == after


_PROCESS = """
import sys
from e2s.base.http import Response
from e2s.network.sessions.server import Server, listen
sock = listen()
def slow(request):
    print("in", flush=True)
    sys.stdin.readline()
    return Response(200, b"finished")
Server(slow, sock).run(lambda: print(sock.getsockname()[1], flush=True))
print("clean", flush=True)
"""


@pytest.mark.processes
def test_sigterm_finishes_what_is_begun_and_exits_with_0():
    process = subprocess.Popen(
        [sys.executable, "-c", _PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    origin = f"http://127.0.0.1:{int(process.stdout.readline())}"
    answers = []
    asking = threading.Thread(target=lambda: answers.append(HttpExchange().send(origin, Request("GET", "/"))))
    asking.start()
    assert process.stdout.readline() == "in\n"
    process.send_signal(signal.SIGTERM)
    process.stdin.write("\n")
    process.stdin.flush()
    asking.join(20)
    assert answers[0].body == b"finished"
    assert process.stdout.readline() == "clean\n"
    assert process.wait(20) == 0
    process.stdin.close()
    process.stdout.close()


def test_a_port_that_is_taken_is_misuse():
    with Served(echo) as served, pytest.raises(Misuse) as caught:
        Served(echo, port=served.port)
    assert caught.value.rule == "port-taken"


def test_importing_client_and_server_does_not_load_uvicorn():
    code = (
        "import sys; import e2s.network.sessions.server, e2s.network.sessions.client;"
        "assert not {'uvicorn', 'uvloop', 'httptools'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

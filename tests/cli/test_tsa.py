"""``e2s tsa``: asked, answered, verified, and the same by OpenSSL in both directions."""

from __future__ import annotations

import hashlib
import json
import secrets
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import rfc3161_client
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2s.base.database import Database
from e2s.base.http import Request
from e2s.base.instants import SystemClock
from e2s.cli.main import main
from e2s.crypto import stamps
from e2s.crypto.certificates import serial_number
from e2s.network.sessions.client import HttpExchange
from e2s.network.sessions.server import Server, listen
from e2s.network.sessions.tls import TlsFiles
from e2s.security.certificates.certify import Wish, certify, read_request
from e2s.security.certificates.profiles import profile
from e2s.security.keys.phrase import Phrase
from e2s.security.timestamping import authority as stamping
from e2s.security.timestamping.home import open_home
from tests.worlds.pki import make_pki
from tests.worlds.token import LABEL, MODULE, PIN, tokens  # noqa: F401

NAME = "urn:e2s:market:tsa"
TEXT = b"a contract"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a file to date, a pass phrase, and the roots that are trusted."""
    monkeypatch.chdir(tmp_path)
    pki = make_pki(at=SystemClock().now())
    (tmp_path / "root.pem").write_bytes(pki.root.pem)
    (tmp_path / "ca.pem").write_bytes(pki.operating.pem)
    (tmp_path / "contract").write_bytes(TEXT)
    for crl, name in zip(pki.crls(), ("root.crl", "ca.crl", "card.crl"), strict=True):
        (tmp_path / name).write_bytes(crl)
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse")
    phrase.chmod(0o600)
    return pki


def e2s(capsys, *arguments, status=0):
    """What ``e2s tsa`` prints; its status must be this."""
    with pytest.raises(SystemExit) as caught:
        main(("tsa", *map(str, arguments)))
    out, err = capsys.readouterr()
    assert caught.value.code == status, out + err
    return out if status != 2 else err


def told(capsys, *arguments, status=0):
    return json.loads(e2s(capsys, *arguments, "--json", status=status))


PHRASE = ("--phrase-file", "phrase")
HOME = ("--home", "tsa", *PHRASE)


def founded(here, capsys, *more):
    """An authority in the folder ``tsa``, certified by the operating CA."""
    e2s(capsys, "init", *HOME, "--name", NAME, *more)
    octets = x509.load_pem_x509_csr(Path("tsa/tsa.p10").read_bytes())
    wish = Wish(
        profile=profile("tsa"), names=(NAME,), public_key=read_request(octets.public_bytes(Encoding.DER))
    )
    at = SystemClock().now()
    made = certify(wish, here.operating_ca.signer, serial=serial_number(lambda n: bytes([7]) * n), at=at)
    Path("tsa.pem").write_bytes(made.pem + here.operating.pem + here.root.pem)
    e2s(capsys, "install", "tsa.pem", *HOME)
    return made


TRUST = ("--trust", "root.pem", "--crl", "root.crl", "--crl", "ca.crl", "--require-revocation")


def test_offline_from_query_to_verdict(here, capsys):
    founded(here, capsys)
    e2s(capsys, "query", "contract", "--out", "q.tsq")
    assert told(capsys, "show", "q.tsq")["imprint"] == hashlib.sha256(TEXT).hexdigest()
    e2s(capsys, "reply", "q.tsq", *HOME)
    found = told(capsys, "verify", "contract", "q.tsr", *TRUST, "--query", "q.tsq")
    assert (found["accepted"], found["authority"]) == (True, NAME)
    assert datetime.now(UTC) - datetime.fromisoformat(found["at"]) < timedelta(minutes=1)
    shown = e2s(capsys, "verify", "contract", "q.tsr", *TRUST)
    assert shown.startswith("good\n")
    assert f"authority    {NAME}" in shown
    assert told(capsys, "show", "q.tsr")["kind"] == "reply"
    assert e2s(capsys, "record", "--home", "tsa").count("stamp.issued") == 1


def test_by_each_digest(here, capsys):
    founded(here, capsys, "--named", "--accuracy", "250")
    for digest in ("sha256", "sha512", "sha3-256"):
        e2s(capsys, "query", "contract", "--digest", digest, "--no-certificate", "--no-nonce")
        e2s(capsys, "reply", "contract.tsq", *HOME, "--out", "r")
        assert told(capsys, "verify", "contract", "r", *TRUST, status=1)["rule"] == "cms-signer-certificate"
        found = told(capsys, "verify", "contract", "r", *TRUST, "--untrusted", "tsa.pem")
        assert (found["digest"], found["accuracy"]) == (digest, "0.25 s")


def test_what_is_not_proven(here, capsys):
    founded(here, capsys)
    e2s(capsys, "query", "contract")
    e2s(capsys, "query", "contract", "--out", "other.tsq")
    e2s(capsys, "reply", "contract.tsq", *HOME)
    Path("changed").write_bytes(TEXT + b".")
    Path("another.pem").write_bytes(make_pki().root.pem)
    for arguments, rule in (
        (("changed", "contract.tsr", *TRUST), "wrong-imprint"),
        (("contract", "contract.tsr"), "unknown-root"),
        (("contract", "contract.tsr", "--trust", "another.pem"), "unknown-root"),
        (("contract", "contract.tsr", *TRUST, "--query", "other.tsq"), "wrong-nonce"),
        (("contract", "contract.tsr", "--trust", "root.pem", "--require-revocation"), "no-revocation"),
        (("contract", "phrase", *TRUST), "der-"),
    ):
        found = told(capsys, "verify", *arguments, status=1)
        assert found["accepted"] is False
        assert found["rule"].startswith(rule) or "revocation" in found["rule"]
    assert "refused: wrong-imprint: " in e2s(capsys, "verify", "changed", "contract.tsr", *TRUST, status=1)


def test_what_is_mistyped(here, capsys):
    founded(here, capsys)
    assert "no-such-file" in e2s(capsys, "query", "nothing", status=2)
    assert "bad-policy" in e2s(capsys, "query", "contract", "--policy", "x", status=2)
    assert "bad-url" in e2s(capsys, "ask", "contract", "--url", "tsa.example", status=2)
    assert "no-tsa" in e2s(capsys, "reply", "contract", "--home", "nowhere", *PHRASE, status=2)
    assert "no-tsa" in e2s(capsys, "install", "tsa.pem", "--home", "nowhere", *PHRASE, status=2)
    assert "half-a-token" in e2s(capsys, "init", "--home", "t", "--name", NAME, "--token", "x", status=2)
    assert "suite-unknown" in e2s(capsys, "init", "--home", "t", "--name", NAME, "--suite", "x", status=2)
    assert "key-exists" in e2s(capsys, "init", *HOME, "--name", NAME, status=2)


def test_a_query_that_is_rejected(here, capsys):
    founded(here, capsys, "--policy", "1.2.3", "--policy", "1.2.4")
    e2s(capsys, "query", "contract", "--policy", "1.2.5")
    with pytest.raises(SystemExit) as caught:
        main(("tsa", "reply", "contract.tsq", *HOME))
    assert caught.value.code == 1
    assert "failure=unacceptedPolicy" in capsys.readouterr().err
    assert Path("contract.tsr").exists(), "the rejection is written"
    e2s(capsys, "query", "contract", "--policy", "1.2.4")
    e2s(capsys, "reply", "contract.tsq", *HOME)
    assert told(capsys, "show", "contract.tsr")["policy"] == "1.2.4"
    assert "rule=stamp-policy" in e2s(capsys, "record", "--home", "tsa")


def test_the_certificate_is_of_the_key_and_of_the_purpose(here, capsys):
    e2s(capsys, "init", *HOME, "--name", NAME)
    request = Path("tsa/tsa.p10").read_bytes()
    e2s(capsys, "init", *HOME, "--name", NAME)
    assert (
        x509.load_pem_x509_csr(Path("tsa/tsa.p10").read_bytes()).public_key()
        == x509.load_pem_x509_csr(request).public_key()
    )
    for kind, rule in (("tsa", "key-mismatch"), ("merchant", "wrong-purpose")):
        Path("one.pem").write_bytes(here.issue(kind, NAME)[0].pem)
        assert rule in e2s(capsys, "install", "one.pem", *HOME, status=2)
    e2s(capsys, "query", "contract")
    assert "no-pse" in e2s(capsys, "reply", "contract.tsq", *HOME, status=2)


def test_an_authority_in_a_token(here, capsys, tokens):  # noqa: F811
    Path("phrase").write_text(PIN)
    made = founded(here, capsys, "--module", MODULE, "--token", LABEL, "--key-label", "stamps")
    e2s(capsys, "query", "contract")
    e2s(capsys, "reply", "contract.tsq", *HOME)
    assert told(capsys, "verify", "contract", "contract.tsr", *TRUST)["accepted"]
    assert "label:      stamps" in tokens.tool("--list-objects", "--type", "privkey")
    assert Path("tsa/tsa.pem").read_bytes().startswith(made.pem)


@pytest.fixture
def served(here, capsys):
    """An authority that serves, and its address."""
    founded(here, capsys)
    program = [sys.executable, "-m", "e2s.cli.main", "tsa", "serve", *HOME]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().rsplit(" ", 1)[1].strip()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_ask_over_http(here, served, capsys):
    found = told(capsys, "ask", "contract", "--url", served, *TRUST)
    assert (found["token"], found["authority"]) == ("contract.tst", NAME)
    assert told(capsys, "verify", "contract", "contract.tst", *TRUST)["serial"] == found["serial"]
    e2s(capsys, "ask", "contract", "--url", served, *TRUST, "--digest", "sha512", "--out", "second")
    assert told(capsys, "show", "second")["digest"] == "sha512"
    for arguments, rule in (((), "unknown-root"), ((*TRUST, "--policy", "1.2.3"), "stamp-not-granted")):
        with pytest.raises(SystemExit) as caught:
            main(("tsa", "ask", "contract", "--url", served, *arguments, "--out", "third"))
        assert caught.value.code == 1
        assert rule in capsys.readouterr().err
    assert not Path("third").exists(), "nothing is written that is not proven"
    query = rfc3161_client.TimestampRequestBuilder().data(TEXT).build()
    Path("q").write_bytes(query.as_bytes())
    reply = curl(served)
    verifier = (
        rfc3161_client.VerifierBuilder()
        .add_root_certificate(x509.load_der_x509_certificate(here.root.der))
        .add_intermediate_certificate(x509.load_der_x509_certificate(here.operating.der))
        .build()
    )
    assert verifier.verify_message(rfc3161_client.decode_timestamp_response(reply), TEXT)


def test_ask_over_tls(here, capsys):
    founded(here, capsys)
    certificate, chain, key = here.issue("tls-server", "127.0.0.1")
    Path("server.pem").write_bytes(certificate.pem + chain[0].pem)
    Path("server.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    opened, close = open_home(
        Path("tsa"), Phrase("correct horse"), clock=SystemClock(), random=secrets.token_bytes
    )
    files = TlsFiles(certificate_file=Path("server.pem"), key_file=Path("server.key"))
    server, ready = Server(opened.handle, listen(), tls=files), threading.Event()
    serving = threading.Thread(target=server.run, args=(ready.set,))
    serving.start()
    assert ready.wait(20)
    try:
        url = f"https://127.0.0.1:{server.port}/stamps"
        found = told(
            capsys, "ask", "contract", "--url", url, "--tls-trust", "root.pem", *TRUST, "--name", NAME
        )
        assert found["authority"] == NAME
        Path("other.pem").write_bytes(make_pki().root.pem)
        for arguments, status, rule in (
            (("--tls-trust", "other.pem"), 1, "unreachable"),
            ((), 2, ""),
            (("--tls-trust", "root.pem", "--name", f"{NAME}-2"), 1, "wrong-name"),
        ):
            with pytest.raises(SystemExit) as caught:
                main(("tsa", "ask", "contract", "--url", url, *TRUST, *arguments))
            assert caught.value.code == status
            assert rule in capsys.readouterr().err
    finally:
        server.stop()
        serving.join()
        close()


def curl(url: str) -> bytes:
    """The answer to the query in the file ``q``."""
    headers = {"content-type": "application/timestamp-query"}
    request = Request("POST", "/", Path("q").read_bytes(), headers)
    return HttpExchange().send(url.rstrip("/"), request).body


@pytest.mark.tool
def test_openssl_in_both_directions(here, capsys):
    founded(here, capsys)
    openssl("ts", "-query", "-data", "contract", "-sha384", "-cert", "-out", "q.tsq")
    e2s(capsys, "reply", "q.tsq", *HOME)
    openssl(*"ts -verify -queryfile q.tsq -in q.tsr -CAfile root.pem -untrusted ca.pem".split())
    key = here.issue("tsa", NAME)
    Path("o.key").write_bytes(key[2].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    Path("o.pem").write_bytes(key[0].pem)
    Path("serial").write_text("0A\n")
    Path("cnf").write_text(
        "[tsa]\nserial=serial\nsigner_cert=o.pem\ncerts=ca.pem\nsigner_key=o.key\nsigner_digest=sha512\n"
        "default_policy=1.2.3\ndigests=sha256,sha512\nordering=yes\ntsa_name=yes\naccuracy=secs:1,millisecs:5\n"
        "ess_cert_id_chain=no\ness_cert_id_alg=sha256\nclock_precision_digits=6\n"
    )
    e2s(capsys, "query", "contract", "--digest", "sha512")
    openssl(*"ts -reply -config cnf -section tsa -queryfile contract.tsq -out theirs".split())
    found = told(capsys, "verify", "contract", "theirs", *TRUST, "--query", "contract.tsq")
    assert (found["accuracy"], found["policy"], found["ordering"]) == ("1.005 s", "1.2.3", True)
    assert "." in found["at"]


def openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()


def test_a_clock_that_is_not_known_to_be_right(here, capsys, monkeypatch):
    founded(here, capsys, "--synchronised")
    e2s(capsys, "query", "contract")
    for right in (True, False):
        monkeypatch.setattr("e2s.security.timestamping.home.synchronised", lambda right=right: right)
        with pytest.raises(SystemExit) as caught:
            main(("tsa", "reply", "contract.tsq", *HOME))
        assert caught.value.code == (0 if right else 1)
    assert "failure=timeNotAvailable" in capsys.readouterr().err


def test_a_clock_that_was_ahead(here, capsys):
    founded(here, capsys)
    database = Database.open(Path("tsa/tsa.sqlite"), stamping.TABLES)
    with database.transaction() as connection:
        stamping._record(connection, SystemClock().now() + timedelta(hours=1))
    database.close()
    e2s(capsys, "query", "contract")
    with pytest.raises(SystemExit):
        main(("tsa", "reply", "contract.tsq", *HOME))
    assert "failure=timeNotAvailable" in capsys.readouterr().err


def test_a_home_that_does_not_say_how_to_date(here, capsys):
    founded(here, capsys)
    for text in ("", "policies = []", 'policies = ["x"]\naccuracy_ms = 5', "not toml", "policies = 5"):
        Path("tsa/dating.toml").write_text(text)
        with pytest.raises(SystemExit) as caught:
            main(("tsa", "reply", "contract", *HOME))
        assert caught.value.code == 1
        assert "bad-dating" in capsys.readouterr().err


def test_output_goes_to_standard_output(here, capfdbinary):
    with pytest.raises(SystemExit):
        main(("tsa", "query", "contract", "--out", "-"))
    assert stamps.read_request(capfdbinary.readouterr().out).imprint == hashlib.sha256(TEXT).digest()

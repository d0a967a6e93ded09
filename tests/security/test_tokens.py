"""Keys in real tokens (SoftHSM2), judged by OpenSC's pkcs11-tool and by OpenSSL; every fault has its rule."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pkcs11
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st
from pkcs11 import Attribute, KeyType

from e2s.base import meter
from e2s.base.errors import E2SError, Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate, serial_number
from e2s.crypto.cms import sign as sign_message
from e2s.crypto.keys import spki_of
from e2s.crypto.suites import signature_suite
from e2s.security.certificates.certify import Wish, certify, certify_all, certify_root, request
from e2s.security.certificates.names import distinguished
from e2s.security.certificates.profiles import profile
from e2s.security.keys import token_objects
from e2s.security.keys.cryptoki import TokenPlace
from e2s.security.keys.lent import lent
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.token import open_token
from e2s.security.status.lists import revocation_list
from tests.worlds.pki import START, make_pki
from tests.worlds.programs import openssl
from tests.worlds.small_disk import fill, small_disk  # noqa: F401
from tests.worlds.token import (  # noqa: F401
    LABEL,
    MODULE,
    PIN,
    Tokens,
    fault,
    faulty_module,
    place,
    tokens,
)

SUITES = ("p256-sha256", "p384-sha384", "p521-sha512", "rsa3072-pss-sha256", "rsa3072-pkcs1-sha256")
SERIAL = 1 << 127
WRONG_PIN = PIN[::-1]
NAME = "urn:e2s:market:tsa"
AT = ("-attime", str(int(START.timestamp())))
pytestmark = pytest.mark.tool


def root_of(keys, suite="p256-sha256", label="root"):
    """A signer of a new root whose key is in the token."""
    wish = Wish(
        profile=profile("root"),
        names=(),
        subject=distinguished(community="market", common="root"),
        public_key=keys.generate(label, suite),
    )
    root = certify_root(wish, keys.lent(label), serial=serial_number(secrets.token_bytes), at=START)
    return keys.signer(label, root, suite=signature_suite(suite))


@pytest.mark.parametrize("suite", SUITES)
def test_a_token_signs_what_others_accept(tokens, tmp_path, suite):  # noqa: F811
    keys = tokens.open()
    signer = root_of(keys, suite)
    leaf = Wish(profile=profile("merchant"), names=(NAME,), public_key=keys.generate("leaf", "p256-sha256"))
    made = certify(leaf, signer, serial=SERIAL, at=START)
    listed = revocation_list(
        [(9, START, "keyCompromise")], signer, number=3, at=START, lifetime=timedelta(days=1)
    )
    files = {
        "root.pem": signer.certificate.pem,
        "leaf.pem": made.pem,
        "list": listed,
        "request": request(keys.lent("root"), (NAME,)),
        "message": sign_message(b"content", oids.DATA, keys.signer("leaf", made), START),
    }
    for name, octets in files.items():
        (tmp_path / name).write_bytes(octets)
    root, at = ("-CAfile", f"{tmp_path}/root.pem"), ("-partial_chain", *AT)
    assert b"OK" in openssl("verify", *AT, *root, f"{tmp_path}/leaf.pem")
    openssl("crl", "-inform", "DER", "-in", f"{tmp_path}/list", *root, "-noout")
    openssl("req", "-inform", "DER", "-in", f"{tmp_path}/request", "-verify", "-noout")
    read = ("-inform", "DER", "-in", f"{tmp_path}/message", "-purpose", "any")
    assert b"content" in openssl("cms", "-verify", *read, *root, *at)
    shown = tokens.tool("--list-objects", "--type", "privkey")
    assert shown.count("sensitive, always sensitive, never extractable, local") == 2
    assert shown.count("Usage:      sign\n") == 2


def test_a_token_signs_answers_about_status(tokens, tmp_path):  # noqa: F811
    signer = root_of(tokens.open())
    leaf = Wish(profile=profile("merchant"), names=(NAME,), public_key=signer.certificate.public_key)
    made = certify(leaf, signer, serial=SERIAL, at=START)
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=made.x509,
        issuer=signer.certificate.x509,
        algorithm=hashes.SHA256(),
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=START,
        next_update=START + timedelta(days=3000),
        revocation_time=None,
        revocation_reason=None,
    )
    answer = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate.x509)
    (tmp_path / "root.pem").write_bytes(signer.certificate.pem)
    (tmp_path / "leaf.pem").write_bytes(made.pem)
    (tmp_path / "answer").write_bytes(answer.sign(lent(signer), hashes.SHA256()).public_bytes(Encoding.DER))
    which = ("-issuer", f"{tmp_path}/root.pem", "-sha256", "-cert", f"{tmp_path}/leaf.pem")
    read = ("-respin", f"{tmp_path}/answer", "-CAfile", f"{tmp_path}/root.pem", *AT)
    assert b"good" in openssl("ocsp", *which, *read, "-no_nonce", "-validity_period", "2000000000")


def test_labels_come_and_go(tokens):  # noqa: F811
    keys = tokens.open()
    assert keys.labels() == ()
    public = keys.generate("one", "p256-sha256")
    keys.generate("two", "p384-sha384")
    assert keys.labels() == ("one", "two")
    assert spki_of(keys.public_key("one")) == spki_of(public)
    with pytest.raises(Misuse, match="key-exists"):
        keys.generate("one", "p256-sha256")
    keys.destroy("one")
    assert keys.labels() == ("two",)
    assert "label:      one" not in tokens.tool("--list-objects")
    for act in (keys.destroy, keys.public_key, keys.lent):
        with pytest.raises(Refusal, match="no-such-key"):
            act("one")
    with pytest.raises(Misuse, match="suite-unknown"):
        keys.generate("three", "ml-dsa-65")
    with pytest.raises(Misuse, match="bad-label"):
        keys.generate("", "p256-sha256")


def test_keys_outlive_the_session(tokens):  # noqa: F811
    keys = tokens.open()
    signer = root_of(keys)
    keys.close()
    for use in (keys.labels, lambda: signer.sign(b"x")):
        with pytest.raises(Refusal, match="token-closed"):
            use()
    again = tokens.open().signer("root", signer.certificate)
    assert again.suite.verified(signer.certificate.public_key, again.sign(b"x"), b"x")


def test_each_signature_is_counted(tokens):  # noqa: F811
    signer = root_of(tokens.open())
    with meter.measured() as spent:
        signer.sign(b"x")
    assert spent["sign"] == 1


def test_many_are_signed_at_once(tokens, faulty_module, fault):  # noqa: F811
    keys = tokens.open(module=faulty_module)
    signer = root_of(keys)
    contents = [b"%d" % n for n in range(20)]
    with meter.measured() as spent:
        fault("sign", 0xB3, times=1)
        signatures = signer.sign_all(contents)
    assert spent["sign"] == 20
    key = signer.certificate.public_key
    assert all(signer.suite.verified(key, *pair) for pair in zip(signatures, contents, strict=True))
    wish = Wish(profile=profile("merchant"), names=(NAME,), public_key=key)
    (made,) = certify_all([(wish, SERIAL)], signer, at=START)
    assert isinstance(made, bytes)
    Certificate.read(made).x509.verify_directly_issued_by(signer.certificate.x509)
    fault("sign", 0x32, times=9)
    assert caught(lambda: signer.sign_all(contents)).rule == "token-removed"


def caught(act) -> E2SError:
    """The error of ``act``; the PIN stands nowhere in it, nor in its traceback."""
    try:
        act()
    except E2SError as error:
        shown = "".join(traceback.format_exception(error)) + repr(error.facts)
        assert PIN not in shown
        assert WRONG_PIN not in shown
        return error
    raise AssertionError("nothing was refused")


def test_what_does_not_open(tokens, tmp_path):  # noqa: F811
    keys = tokens.open()
    assert caught(lambda: tokens.open(pin=WRONG_PIN)).rule == "wrong-pin"
    keys.close()
    assert caught(lambda: tokens.open(pin=WRONG_PIN)).rule == "wrong-pin"
    assert caught(lambda: tokens.open(pin="1")).rule == "wrong-pin"
    assert caught(lambda: tokens.open("nosuch")).rule == "token-absent"
    assert caught(lambda: tokens.open(module=tmp_path / "nosuch.so")).rule == "no-token-module"
    text = tmp_path / "text.so"
    text.write_text("no module")
    text.chmod(0o644)
    assert caught(lambda: tokens.open(module=text)).rule == "bad-token-module"
    text.chmod(0o666)
    assert caught(lambda: tokens.open(module=text)).rule == "token-module-exposed"
    assert caught(lambda: TokenPlace(module=Path("rel.so"), token=LABEL)).rule == "bad-token-place"
    assert caught(lambda: TokenPlace(module=MODULE, token="x" * 33)).rule == "bad-token-place"
    tokens.open().close()
    subprocess.run(["rm", "-r", tokens.folder / "tokens"], check=True)
    error = caught(tokens.open)
    assert error.rule == "bad-token-module"
    assert "does not start" in error.message


def test_two_tokens_of_one_label(tokens):  # noqa: F811
    tokens.add()
    error = caught(tokens.open)
    assert isinstance(error, Misuse)
    assert (error.rule, error.facts["found"]) == ("token-ambiguous", 2)


def test_without_the_library(tokens, monkeypatch):  # noqa: F811
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    error = caught(tokens.open)
    assert error.rule == "no-token-library"
    assert "`token`" in error.message


@pytest.mark.parametrize(
    ("code", "rule"),
    [(0xA0, "wrong-pin"), (0xA4, "pin-locked"), (0xA3, "pin-expired"), (0x102, "pin-not-set")],
    ids=["wrong", "locked", "expired", "unset"],
)
def test_a_pin_that_the_token_refuses(tokens, faulty_module, fault, code, rule):  # noqa: F811
    fault("login", code)
    assert caught(lambda: tokens.open(module=faulty_module)).rule == rule
    assert tokens.open(module=faulty_module).labels() == ()


@pytest.mark.parametrize("code", [0x32, 0xB3, 0x101, 0x60], ids=["removed", "session", "login", "handle"])
def test_what_is_lost_once_is_opened_again(tokens, faulty_module, fault, code):  # noqa: F811
    signer = root_of(tokens.open(module=faulty_module))
    fault("sign", code)
    assert signer.suite.verified(signer.certificate.public_key, signer.sign(b"x"), b"x")


def test_what_stays_lost_is_refused(tokens, faulty_module, fault):  # noqa: F811
    signer = root_of(tokens.open(module=faulty_module))
    fault("sign", 0x32, times=9)
    assert caught(lambda: signer.sign(b"x")).rule == "token-removed"
    fault("sign", 0x30)
    assert caught(lambda: signer.sign(b"x")).rule == "token-failed"
    assert signer.sign(b"x")


def test_a_token_that_is_full(tokens, faulty_module, fault):  # noqa: F811
    keys = tokens.open(module=faulty_module)
    fault("generate", 0x31)
    assert caught(lambda: keys.generate("one", "p256-sha256")).rule == "token-full"
    fault("generate", 0x70)
    assert caught(lambda: keys.generate("one", "p256-sha256")).rule == "token-lacks-mechanism"
    assert keys.labels() == ()


def test_a_pin_changed_meanwhile_is_not_tried_twice(tokens, faulty_module, fault):  # noqa: F811
    keys = tokens.open(module=faulty_module)
    signer = root_of(keys)
    keys._login.session.close()
    fault("login", 0xA0, times=9)
    for use in (lambda: signer.sign(b"x"), keys.labels):
        error = caught(use)
        assert (error.rule, error.facts["again"]) == ("token-session-lost", "wrong-pin")
    fault("login", 0)
    assert caught(keys.labels).facts["again"] == "wrong-pin", "it is not tried again, lest it be locked"
    keys.close()
    assert tokens.open(module=faulty_module).labels() == ("root",)


def test_a_token_that_was_deleted(tokens):  # noqa: F811
    signer = root_of(tokens.open())
    subprocess.run(["rm", "-r", tokens.folder / "tokens"], check=True)
    assert caught(lambda: signer.sign(b"x")).rule in {"no-such-key", "token-session-lost", "token-failed"}


def test_threads_share_a_token(tokens):  # noqa: F811
    one, other = tokens.open(), tokens.open()
    signers = [root_of(one, label="a"), root_of(other, "p384-sha384", label="b")]

    def use(n: int) -> bool:
        signer, data = signers[n % 2], b"%d" % n
        if n == 40:
            other.generate("c", "p256-sha256")
        return signer.suite.verified(signer.certificate.public_key, signer.sign(data), data)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(200)))
    one.close()
    assert signers[1].sign(b"x"), "the other one's login stands"
    with pytest.raises(Refusal, match="token-closed"):
        signers[0].sign(b"x")


def test_a_child_does_not_use_its_parents_token(tokens):  # noqa: F811
    program = """
import os, sys
from tests.security.test_tokens import open_token, place, Phrase, PIN, Refusal
keys = open_token(place(), Phrase(PIN))
child = os.fork()
if not child:
    try:
        keys.labels()
    except Refusal as refusal:
        os._exit(3 if refusal.rule == "token-of-another-process" else 4)
    os._exit(5)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), keys.labels())
"""
    assert in_process(tokens, program) == (0, "3 ()\n")


def in_process(tokens, program: str) -> tuple[int, str]:  # noqa: F811
    """What a process of its own makes of ``program``."""
    environment = {**tokens.environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def test_keys_that_are_not_ours(tokens):  # noqa: F811
    keys = tokens.open()
    signer = root_of(keys)
    keys.generate("other", "p256-sha256")
    assert caught(lambda: keys.signer("other", signer.certificate)).rule == "wrong-key"
    certificate: Certificate = make_pki().issue("tsa", NAME)[0]
    assert caught(lambda: keys.signer("other", certificate)).rule == "wrong-key"
    wrong = signature_suite("p384-sha384")
    assert caught(lambda: keys.signer("root", signer.certificate, suite=wrong)).rule == "wrong-suite"


def test_a_key_that_its_token_would_give_away(tokens):  # noqa: F811
    tokens.tool("--keypairgen", "--key-type", "EC:prime256v1", "--label", "loose", "--extractable")
    keys = tokens.open()
    wish = Wish(profile=profile("tsa"), names=(NAME,), public_key=keys.public_key("loose"))
    made = certify(wish, make_pki().operating_ca.signer, serial=SERIAL, at=START)
    assert caught(lambda: keys.signer("loose", made)).rule == "token-key-exposed"


def test_a_key_that_wants_the_pin_each_time(tokens):  # noqa: F811
    asked = ("--keypairgen", "--key-type", "EC:prime256v1", "--label", "careful")
    tokens.tool(*asked, "--always-auth", "--sensitive")
    keys = tokens.open()
    wish = Wish(profile=profile("tsa"), names=(NAME,), public_key=keys.public_key("careful"))
    made = certify(wish, make_pki().operating_ca.signer, serial=SERIAL, at=START)
    signer = keys.signer("careful", made)
    assert signer._use.known is not None
    assert signer._use.known.asks
    for data in (b"one", b"two"):
        assert signer.suite.verified(made.public_key, signer.sign(data), data)


def test_two_keys_of_one_label(tokens):  # noqa: F811
    for _ in range(2):
        tokens.tool("--keypairgen", "--key-type", "EC:prime256v1", "--label", "twin")
    keys = tokens.open()
    assert caught(lambda: keys.lent("twin")).rule == "key-ambiguous"
    keys.destroy("twin")
    assert keys.labels() == ()


def test_a_disk_that_is_full(small_disk, monkeypatch):  # noqa: F811
    made = Tokens(small_disk)
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.settings))
    made.add()
    keys = made.open()
    signer = root_of(keys)
    others = fill(small_disk)
    assert caught(lambda: keys.generate("one", "p256-sha256")).rule in {"token-failed", "token-full"}
    assert signer.sign(b"x")
    others.unlink()
    assert keys.labels() == ("root",)
    keys.generate("one", "p256-sha256")
    keys.close()


@pytest.mark.parametrize("ours", [True, False])
def test_a_public_half_alone(tokens, tmp_path, ours):  # noqa: F811
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    (tmp_path / "half").write_bytes(spki_of(key))
    known = sha256(b"half").hexdigest()[:32] if ours else "0102"
    tokens.tool("--write-object", f"{tmp_path}/half", "--type", "pubkey", "--label", "half", "--id", known)
    keys = tokens.open()
    if ours:
        assert spki_of(keys.generate("half", "p256-sha256")) != spki_of(key)
        assert tokens.tool("--list-objects", "--type", "pubkey").count("half") == 1
    else:
        assert caught(lambda: keys.generate("half", "p256-sha256")).rule == "key-exists"
        assert "half" in tokens.tool("--list-objects", "--type", "pubkey")


def test_a_kill_behind_the_generation_leaves_the_key_in_sight(tokens):  # noqa: F811
    program = f"""
import os, signal
from tests.security.test_tokens import open_token, place, Phrase, PIN
from e2s.security.keys import token
real = token.generate_pair
def killed(*arguments):
    real(*arguments)
    os.kill(os.getpid(), {int(signal.SIGKILL)})
token.generate_pair = killed
open_token(place(), Phrase(PIN)).generate("half", "p256-sha256")
"""
    assert in_process(tokens, program)[0] == -signal.SIGKILL
    keys = tokens.open()
    assert keys.labels() == ("half",)
    assert caught(lambda: keys.generate("half", "p256-sha256")).rule == "key-exists"


CURVE = der.oid(oids.P256)
POINT = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
)


@pytest.mark.parametrize("point", [POINT, der.octet_string(POINT)], ids=["bare", "wrapped"])
def test_tokens_describe_points_in_two_ways(point):
    found = {Attribute.KEY_TYPE: KeyType.EC, Attribute.EC_PARAMS: CURVE, Attribute.EC_POINT: point}
    key = token_objects.public_of(pkcs11, found)
    assert key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) == POINT


@pytest.mark.parametrize(
    "found",
    [
        {Attribute.KEY_TYPE: KeyType.DSA},
        {
            Attribute.KEY_TYPE: KeyType.EC,
            Attribute.EC_PARAMS: der.oid("1.3.132.0.10"),
            Attribute.EC_POINT: POINT,
        },
        {Attribute.KEY_TYPE: KeyType.EC, Attribute.EC_PARAMS: CURVE, Attribute.EC_POINT: POINT[:-1]},
        {Attribute.KEY_TYPE: KeyType.EC, Attribute.EC_PARAMS: CURVE, Attribute.EC_POINT: b"\x04" + bytes(64)},
        {
            Attribute.KEY_TYPE: KeyType.EC,
            Attribute.EC_PARAMS: CURVE,
            Attribute.EC_POINT: der.octet_string(POINT) + b"x",
        },
        {Attribute.KEY_TYPE: KeyType.RSA, Attribute.MODULUS: b"\x05", Attribute.PUBLIC_EXPONENT: b"\x03"},
        {
            Attribute.KEY_TYPE: KeyType.RSA,
            Attribute.MODULUS: b"\xff" * 128,
            Attribute.PUBLIC_EXPONENT: b"\1\0\1",
        },
    ],
    ids=["kind", "curve", "short", "nowhere", "more", "tiny", "small"],
)
def test_keys_that_no_token_should_have(found):
    with pytest.raises(Refusal, match="bad-token-key"):
        token_objects.public_of(pkcs11, found)


@given(st.binary(max_size=80))
def test_garbage_for_a_point(octets):
    found = {Attribute.KEY_TYPE: KeyType.EC, Attribute.EC_PARAMS: CURVE, Attribute.EC_POINT: octets}
    with pytest.raises(Refusal, match="bad-token-key"):
        token_objects.public_of(pkcs11, found)


@given(st.integers(1, 2**256 - 1), st.integers(1, 2**256 - 1))
def test_signatures_are_written_as_x509_has_them(r, s):
    pair = r.to_bytes(66, "big") + s.to_bytes(66, "big")
    assert decode_dss_signature(token_objects._signature(pair)) == (r, s)
    short = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert decode_dss_signature(token_objects._signature(short)) == (r, s)


@pytest.mark.parametrize("pair", [b"", b"\1", bytes(64), b"\1" * 65, b"\1" * 134, b"\1" * 32 + bytes(32)])
def test_no_signature(pair):
    with pytest.raises(Refusal, match="bad-token-signature"):
        token_objects._signature(pair)


def test_a_token_is_not_opened_by_its_label_alone(tokens):  # noqa: F811
    with pytest.raises(Refusal, match="token-absent"):
        open_token(place(LABEL.upper()), Phrase(PIN))

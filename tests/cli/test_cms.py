"""``e2s cms`` with files: what it writes, its exit status, and that no output appears that is not good."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from e2s.cli.main import main
from e2s.crypto.pem import unarmoured
from tests.worlds.pki import make_pki

CONTENT = b"nine resistors\r\nand a coil\n"


@pytest.fixture(scope="module")
def pki():
    """A community whose certificates are good now: the command line reads the machine's clock."""
    return make_pki(at=datetime.now(UTC).replace(microsecond=0))


class Desk:
    """A folder with keys, and the command at hand."""

    def __init__(self, folder, pki, capsys):
        self.folder, self.pki, self.capsys = folder, pki, capsys
        self.put("root.pem", pki.root.pem)
        self.put("in", CONTENT)

    def put(self, name, octets):
        (self.folder / name).write_bytes(octets)
        return octets

    def get(self, name):
        return (self.folder / name).read_bytes()

    def has(self, name):
        return (self.folder / name).exists()

    def person(self, name, kind, **more):
        certificate, chain, key = self.pki.issue(kind, f"urn:e2s:market:{name}", **more)
        self.put(f"{name}.crt", b"".join(one.pem for one in (certificate, *chain)))
        plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.put(f"{name}.key", plain)
        return certificate, key

    def run(self, *words):
        """Exit status, output, error output; words with a dot or named in/out are files of the folder."""
        files = {"in", "out", "msg", "wrong"}
        given = [str(self.folder / w) if w in files or "." in w else w for w in words]
        with pytest.raises(SystemExit) as caught:
            main(["cms", *given])
        shown = self.capsys.readouterr()
        return caught.value.code or 0, shown.out, shown.err

    def left(self):
        """Files that were not put away: temporary ones."""
        return [one.name for one in self.folder.iterdir() if one.name.startswith(".")]


@pytest.fixture
def desk(tmp_path, pki, capsys):
    return Desk(tmp_path, pki, capsys)


SIGN = ("sign", "--cert", "anna.crt", "--key", "anna.key", "--in", "in", "--out", "msg")
VERIFY = ("verify", "--trust", "root.pem", "--in", "msg")
DECRYPT = ("decrypt", "--cert", "anna.crt", "--key", "anna.key", "--in", "msg", "--out", "out")


@pytest.mark.parametrize("more", [(), ("--pem",)])
def test_sign_and_verify(desk, more):
    certificate, _key = desk.person("anna", "merchant")
    assert desk.run(*SIGN, *more) == (0, "", "")
    status, shown, _ = desk.run(*VERIFY, "--out", "out", "--json")
    told = json.loads(shown)
    assert (status, told["outcome"], told["certificate"]) == (0, "good", certificate.id)
    assert told["path"][-1] == desk.pki.root.subject
    assert told["revocation"] == "not checked"
    assert desk.get("out") == CONTENT
    assert desk.run(*VERIFY)[1].startswith("good: signed by urn:e2s:market:anna")


def test_detached(desk):
    desk.person("anna", "merchant")
    desk.run(*SIGN, "--detached")
    assert CONTENT not in desk.get("msg")
    assert desk.run(*VERIFY, "--content", "in", "--out", "out")[0] == 0
    assert desk.get("out") == CONTENT
    assert desk.run(*VERIFY)[0] == 2
    desk.put("in", CONTENT + b"!")
    status, _, told = desk.run(*VERIFY, "--content", "in", "--json")
    assert (status, json.loads(told)["rule"]) == (1, "altered-content")


def test_no_output_unless_all_is_good(desk):
    desk.person("anna", "merchant")
    desk.run(*SIGN)
    desk.put("msg", desk.get("msg").replace(b"nine", b"five"))
    status, shown, told = desk.run(*VERIFY, "--out", "out")
    assert (status, shown) == (1, "")
    assert "altered-content" in told
    assert not desk.has("out")
    assert desk.left() == []


def test_unknown_root(desk):
    desk.person("anna", "merchant")
    desk.run(*SIGN)
    desk.put("root.pem", make_pki("elsewhere").root.pem)
    status, _, told = desk.run(*VERIFY, "--out", "out")
    assert status == 1
    assert "unknown-root" in told
    assert not desk.has("out")


def test_revoked(desk):
    certificate, _key = desk.person("anna", "merchant")
    desk.run(*SIGN)
    crls = desk.pki.crls()
    for n, crl in enumerate(crls):
        desk.put(f"{n}.crl", crl)
    given = [word for n in range(len(crls)) for word in ("--crl", f"{n}.crl")]
    assert "revocation: checked" in desk.run(*VERIFY, *given)[1]
    desk.pki.revoke(certificate)
    for n, crl in enumerate(desk.pki.crls()):
        desk.put(f"{n}.crl", crl)
    status, _, told = desk.run(*VERIFY, *given, "--out", "out")
    assert status == 1
    assert "revoked" in told
    assert not desk.has("out")


@pytest.mark.parametrize("more", [(), ("--pem",), ("--legacy",)])
def test_encrypt_and_decrypt(desk, more):
    desk.person("anna", "merchant-agreement")
    desk.person("bert", "merchant-agreement")
    words = ("encrypt", "--to", "anna.crt", "bert.crt", "--in", "in", "--out", "msg", *more)
    assert desk.run(*words) == (0, "", "")
    for name in ("anna", "bert"):
        status, _, told = desk.run(*(w.replace("anna", name) for w in DECRYPT))
        assert status == 0
        assert ("older form" in told) == (more == ("--legacy",))
        assert desk.get("out") == CONTENT
    assert (desk.folder / "out").stat().st_mode & 0o077 == 0
    assert desk.run(*DECRYPT, "--strict")[0] == (1 if more == ("--legacy",) else 0)


def test_decrypt_refuses(desk):
    desk.person("anna", "merchant-agreement")
    desk.person("bert", "merchant-agreement")
    desk.run("encrypt", "--to", "bert.crt", "--in", "in", "--out", "msg")
    status, _, told = desk.run(*DECRYPT)
    assert (status, "not-for-me" in told) == (1, True)
    desk.run("encrypt", "--to", "anna.crt", "--in", "in", "--out", "msg")
    good = desk.get("msg")
    desk.put("msg", good[:-1] + bytes((good[-1] ^ 1,)))
    status, _, told = desk.run(*DECRYPT)
    assert (status, "bad-envelope" in told) == (1, True)
    assert not desk.has("out")
    assert desk.left() == []


@pytest.mark.parametrize("more", [(), ("--pem",)])
def test_the_last_octet_counts(desk, more):
    """Large enough that most of it is written before its tag is read: still there is no output."""
    desk.person("anna", "merchant-agreement")
    desk.put("in", CONTENT * 40_000)
    desk.run("encrypt", "--to", "anna.crt", "--in", "in", "--out", "msg", *more)
    assert desk.run(*DECRYPT)[0] == 0
    desk.put("out", b"of before")
    whole = unarmoured(desk.get("msg"))
    desk.put("msg", whole[:-1] + bytes((whole[-1] ^ 1,)))
    status, _, told = desk.run(*DECRYPT)
    assert (status, "bad-envelope" in told) == (1, True)
    assert desk.get("out") == b"of before"
    assert desk.left() == []


def test_misuse(desk):
    desk.person("anna", "merchant")
    desk.person("bert", "merchant")
    assert desk.run("sign", "--cert", "anna.crt")[0] == 2
    assert desk.run(*(w if w != "in" else "none.txt" for w in SIGN))[0] == 2
    assert "wrong-key" in desk.run(*(w if w != "anna.key" else "bert.key" for w in SIGN))[2]
    assert desk.run(*SIGN[:-1], "none.d/out")[0] == 2
    desk.put("msg", b"no message")
    assert desk.run(*VERIFY)[0] == 1
    assert desk.run("encrypt", "--to", "in", "--in", "in", "--out", "out")[0] == 1
    assert not desk.has("out")


def test_locked_key(desk):
    _certificate, key = desk.person("anna", "merchant")
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
    desk.put("anna.key", locked)
    desk.put("phrase.txt", b"open sesame\n")
    assert "bad-key" in desk.run(*SIGN)[2]
    assert "phrase-file-exposed" in desk.run(*SIGN, "--phrase-file", "phrase.txt")[2]
    (desk.folder / "phrase.txt").chmod(0o600)
    assert desk.run(*SIGN, "--phrase-file", "phrase.txt") == (0, "", "")


def test_suite_of_a_signature(desk):
    desk.person("anna", "merchant", private_key=rsa.generate_private_key(65537, 3072))
    for name, suite in ((), ()), (("--suite", "rsa3072-pkcs1-sha256"), "rsa3072-pkcs1-sha256"):
        assert desk.run(*SIGN, *name) == (0, "", "")
        told = json.loads(desk.run(*VERIFY, "--json")[1])
        assert told["suite"] == (suite or "rsa3072-pss-sha256")
        assert told["bytes"] == len(CONTENT)
    assert desk.run(*VERIFY, "--suite", "rsa3072-pkcs1-sha256")[0] == 0
    status, _, told = desk.run(*VERIFY, "--suite", "rsa3072-pss-sha256", "--out", "out")
    assert (status, "wrong-suite" in told, desk.has("out")) == (1, True, False)
    status, _, told = desk.run(*SIGN, "--suite", "p256-sha256")
    assert status == 2
    assert "rsa3072-pss-sha256 or rsa3072-pkcs1-sha256" in " ".join(told.split())
    assert desk.run(*SIGN, "--suite", "rot13")[0] == 2
    assert desk.run(*VERIFY, "--suite", "rot13")[0] == 2


def test_suite_of_an_envelope(desk):
    desk.person("anna", "merchant-agreement")
    words = ("encrypt", "--to", "anna.crt", "--in", "in", "--out", "msg")
    desk.run(*words, "--suite", "ecdh-p256-aes256cbc")
    assert "older form" in desk.run(*DECRYPT)[2]
    assert desk.run(*DECRYPT, "--suite", "ecdh-p256-aes256cbc")[0] == 0
    status, _, told = desk.run(*DECRYPT, "--suite", "ecdh-p256-aes256gcm")
    assert (status, "wrong-suite" in told) == (1, True)
    assert desk.run(*words, "--suite", "rsa-oaep-aes256gcm", "--suite", "ecdh-p256-aes256gcm")[0] == 0
    assert desk.run(*DECRYPT, "--strict", "--suite", "ecdh-p256-aes256gcm")[0] == 0
    status, _, told = desk.run(*words, "--suite", "rsa-oaep-aes256gcm")
    assert status == 2
    assert "ecdh-p256-aes256gcm or ecdh-p256-aes256cbc" in " ".join(told.split())
    assert desk.run(*words, "--suite", "rot13")[0] == 2


def test_standard_input_and_output(desk):
    """A shell's pipe: nothing comes out of it unless all is good, and what is said goes elsewhere."""
    desk.person("anna", "merchant")

    def piped(given, *words):
        files = [str(desk.folder / word) if "." in word else word for word in words]
        script = "import sys; from e2s.cli.main import main; main(sys.argv[1:])"
        command = [sys.executable, "-c", script, "cms", *files, "--in", "-", "--out", "-"]
        done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=60)
        return done.returncode, done.stdout, done.stderr.decode()

    status, message, told = piped(CONTENT, *SIGN[:5])
    assert (status, told) == (0, "")
    status, content, told = piped(message, *VERIFY[:3])
    assert (status, content, told[:4]) == (0, CONTENT, "good")
    status, content, told = piped(message.replace(b"nine", b"five"), *VERIFY[:3])
    assert (status, content, "altered-content" in told) == (1, b"", True)


def test_what_is_no_file(desk):
    desk.person("anna", "merchant")
    os.mkfifo(desk.folder / "pipe.in")
    feeder = threading.Thread(target=(desk.folder / "pipe.in").write_bytes, args=(CONTENT,))
    feeder.start()
    assert desk.run(*(word if word != "in" else "pipe.in" for word in SIGN)) == (0, "", "")
    feeder.join()
    assert desk.run(*VERIFY, "--out", "/dev/null")[0] == 0
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    (desk.folder / "folder.d").mkdir()
    assert desk.run(*(word if word != "in" else "folder.d" for word in SIGN))[0] == 2
    assert desk.run(*VERIFY, "--out", "folder.d")[0] == 2
    assert desk.left() == []


def test_progress_is_shown_on_a_terminal_only(desk, monkeypatch):
    desk.person("anna", "merchant")
    monkeypatch.setattr("e2s.cli.streams._LONG", 1)
    assert desk.run(*SIGN) == (0, "", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert "\rsigning: 100 %" in desk.run(*SIGN)[2]


@pytest.mark.tool
def test_openssl_and_we_read_each_other(desk):
    desk.person("anna", "merchant")
    desk.run(*SIGN, "--pem")

    def openssl(*words):
        given = ["openssl", "cms", *words]
        done = subprocess.run(given, cwd=desk.folder, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    read = ("-verify", "-binary", "-inform", "PEM", "-in", "msg", "-CAfile", "root.pem")
    assert openssl(*read) == CONTENT
    write = ("-sign", "-binary", "-nodetach", "-in", "in", "-signer", "anna.crt", "-inkey", "anna.key")
    desk.put("issuers.crt", desk.pki.operating.pem)
    for form in ("PEM", "DER"):
        openssl(*write, "-certfile", "issuers.crt", "-outform", form, "-out", "msg")
        assert desk.run(*VERIFY, "--out", "out")[0] == 0
        assert desk.get("out") == CONTENT


@pytest.mark.parametrize("command", ["sign", "verify", "encrypt", "decrypt"])
def test_help_has_an_example(desk, command):
    status, shown, _ = desk.run(command, "--help")
    assert status == 0
    assert f"Example: e2s cms {command} " in " ".join(shown.split())

"""Where an authority's key lives is data; a key that waits for its certificate is found again, and none is lost."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys

import pytest

from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import serial_number
from e2s.security.certificates.certify import Wish, certify, certify_root
from e2s.security.certificates.names import distinguished
from e2s.security.certificates.profiles import profile
from e2s.security.keys.container import Cost
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.where import (
    InSealedFile,
    InToken,
    make_key,
    open_key,
    read_where,
    write_where,
)
from tests.worlds.pki import START, make_pki
from tests.worlds.token import PIN, place, tokens  # noqa: F401

CHEAP = Cost(kdf="scrypt", memory_kib=8, passes=1)
SUITE = "p256-sha256"


@pytest.fixture(params=["file", "token"])
def where(request):
    return InSealedFile() if request.param == "file" else InToken(place=place(), label="the root")


@pytest.fixture
def folder(tokens, tmp_path):  # noqa: F811
    return tmp_path / "ca"


def new(folder, where, suite=SUITE, secret=PIN):
    return make_key(folder, where, Phrase(secret), suite, random=secrets.token_bytes, cost=CHEAP)


def root_of(key):
    wish = Wish(
        profile=profile("root"),
        names=(),
        subject=distinguished(community="market", common="root"),
        public_key=key.public_key,
    )
    return certify_root(wish, key.key, serial=serial_number(secrets.token_bytes), at=START)


def test_a_key_is_made_certified_and_opened(folder, where):
    key = new(folder, where)
    root = root_of(key)
    key.certified(root).close()
    opened = open_key(folder, Phrase(PIN))
    signer = opened.signer()
    assert signer.certificate == root
    assert signer.suite.verified(root.public_key, signer.sign(b"x"), b"x")
    with pytest.raises(Misuse, match="key-exists"):
        new(folder, where)
    opened.close()
    with pytest.raises(Refusal, match="closed"):
        opened.signer().sign(b"x")
    with pytest.raises(Refusal, match="wrong-p"):
        open_key(folder, Phrase(PIN[::-1]))


def test_a_key_waits_for_its_certificate(folder, where):
    first = new(folder, where)
    public = first.public_key
    first.close()
    with pytest.raises(Misuse, match=r"not-certified|no-pse"):
        open_key(folder, Phrase(PIN))
    with pytest.raises(Misuse, match="key-waits"):
        new(folder, where, "p384-sha384")
    with pytest.raises(Refusal, match="wrong-p"):
        new(folder, where, secret=PIN[::-1])
    second = new(folder, where)
    assert second.public_key == public
    second.certified(root_of(second)).close()
    assert not (folder / "ca.pending").exists()


def test_a_newer_certificate_of_the_same_key(folder, where):
    key = new(folder, where)
    opened = key.certified(root_of(key))
    pki = make_pki()
    wish = Wish(
        profile=profile("operating-ca"),
        names=("urn:e2s:market:ca2",),
        subject=distinguished(community="market", party="ca2", common="operating-ca"),
        public_key=key.public_key if isinstance(where, InToken) else opened.signer().certificate.public_key,
    )
    made = certify(wish, pki.root_ca.signer, serial=serial_number(secrets.token_bytes), at=START)
    opened.recertified(made, (pki.operating,), Phrase(PIN), random=secrets.token_bytes)
    opened.close()
    again = open_key(folder, Phrase(PIN))
    assert (again.signer().certificate, again.signer().chain) == (made, (pki.operating,))
    stranger = pki.issue("tsa", "urn:e2s:market:tsa")[0]
    with pytest.raises(Misuse, match=r"wrong-key|key-mismatch"):
        again.recertified(stranger, (), Phrase(PIN), random=secrets.token_bytes)
    again.close()


def test_a_certificate_of_another_key(folder, where):
    key = new(folder, where)
    with pytest.raises(Misuse, match="key-mismatch"):
        key.certified(make_pki().issue("tsa", "urn:e2s:market:tsa")[0])
    key.close()


def test_a_token_that_has_a_key_of_the_label_already(folder, tokens, tmp_path):  # noqa: F811
    where = InToken(place=place(), label="the root")
    new(tmp_path / "one", where).close()
    with pytest.raises(Misuse, match="key-exists"):
        new(tmp_path / "two", where)
    assert not (tmp_path / "two" / "key.toml").exists()


def test_a_place_that_changed_its_mind(folder):
    new(folder, InToken(place=place(), label="the root")).close()
    for other in (InSealedFile(), InToken(place=place(), label="another")):
        with pytest.raises(Misuse, match="key-waits"):
            new(folder, other)
    elsewhere = folder.with_name("other")
    new(elsewhere, InSealedFile()).close()
    with pytest.raises(Misuse, match="key-waits"):
        new(elsewhere, InToken(place=place(), label="another"))


@pytest.mark.parametrize(
    "point",
    ["kept.replace_file", "token.generate_pair", "where.write_where"],
    ids=["sealed", "generated", "recorded"],
)
def test_a_kill_leaves_a_key_that_goes_on(folder, tokens, point):  # noqa: F811
    where = InSealedFile() if point.startswith("kept") else InToken(place=place(), label="the root")
    module, name = point.split(".")
    program = f"""
import os, pathlib, secrets
from e2s.security.keys import {module} as killed
from tests.security.test_key_place import *
real = killed.{name}
def dying(*arguments):
    real(*arguments)
    os.kill(os.getpid(), {int(signal.SIGKILL)})
killed.{name} = dying
new(pathlib.Path({str(folder)!r}), {where!r})
"""
    program = program.replace("PosixPath(", "pathlib.PosixPath(").replace(
        "TokenPlace(", "place.__globals__['TokenPlace']("
    )
    environment = {**tokens.environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    labels = tokens.open().labels() if isinstance(where, InToken) else ()
    assert labels == (("the root",) if point == "token.generate_pair" else ())
    key = new(folder, where)
    key.certified(root_of(key)).close()
    opened = open_key(folder, Phrase(PIN))
    assert opened.signer().sign(b"x")
    opened.close()
    if isinstance(where, InToken):
        assert tokens.open().labels() == ("the root",)


@pytest.mark.parametrize(
    "text",
    [
        'kind = "nowhere"',
        'kind = "token"',
        'kind = "token"\nmodule = 5\ntoken = "t"\nlabel = "l"',
        'kind = "token"\nmodule = "/m"\ntoken = "t"\nlabel = "l"\npin = "1234"',
        'kind = "sealed-file"\nmore = 1',
        "not toml",
        "\x00",
        'a = "' + "x" * 5000 + '"',
        "",
    ],
    ids=["kind", "less", "number", "pin", "more", "text", "zero", "large", "empty"],
)
def test_a_file_that_says_nothing(tmp_path, text):
    (tmp_path / "key.toml").write_text(text)
    with pytest.raises(Refusal, match="bad-key-place"):
        read_where(tmp_path)


def test_a_file_that_others_may_write(tmp_path):
    write_where(tmp_path, InToken(place=place(), label='a "quoted" label'))
    assert read_where(tmp_path) == InToken(place=place(), label='a "quoted" label')
    (tmp_path / "key.toml").chmod(0o622)
    with pytest.raises(Refusal, match="key-place-exposed"):
        read_where(tmp_path)


def test_no_file_is_a_sealed_file(tmp_path):
    assert read_where(tmp_path) == InSealedFile()
    write_where(tmp_path, InSealedFile())
    assert read_where(tmp_path) == InSealedFile()

"""A repository gives exactly its files, whatever path is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.base.http import Request
from e2s.network.sessions.local import LocalExchange
from e2s.security.repository.files import Repository
from e2s.security.verification.fetching import (
    certificate_path,
    crl_path,
    fetch_anchor,
    fetch_certificate,
    fetch_crl,
)
from tests.worlds.pki import make_pki

PKI = make_pki()
ORIGIN = "http://repository"
NOWHERE = Path("/nonexistent")


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "public")
    made.publish_anchor(PKI.root)
    made.publish_certificate(PKI.operating)
    made.publish_crl(PKI.operating, PKI.crls()[1])
    (tmp_path / "secret").write_text("secret")
    return made


@pytest.fixture
def exchange(repository):
    return LocalExchange({ORIGIN: repository.handle})


def test_gives_what_was_published(exchange):
    assert fetch_anchor(exchange, ORIGIN) == (PKI.root,)
    assert fetch_certificate(exchange, ORIGIN, PKI.operating.digest) == PKI.operating
    assert fetch_crl(exchange, ORIGIN, PKI.operating).startswith(b"\x30")


def test_another_certificate_is_refused(repository, exchange):
    wrong = certificate_path(PKI.root.digest)
    (repository._folder / wrong[1:]).write_bytes(PKI.operating.der)
    with pytest.raises(Refusal, match="bad-certificate"):
        fetch_certificate(exchange, ORIGIN, PKI.root.digest)


def test_unknown_list(exchange):
    with pytest.raises(Refusal, match="peer-refused"):
        fetch_crl(exchange, ORIGIN, PKI.card_ca)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/../secret",
        "/crl/../../secret",
        "/crl/..%2f..%2fsecret",
        "/crl/",
        "/crl/x.crl",
        "//anchor.pem",
        "/anchor.pem/",
        "/anchor.pem\n",
        "/certs/" + "0" * 64 + ".crl",
    ],
)
def test_no_other_path(repository, path):
    assert repository.handle(Request("GET", path)).status == 404


@given(st.text(max_size=90))
def test_garbage_paths(path):
    repository = Repository(NOWHERE)
    assert repository.handle(Request("GET", path)).status == 404


def test_methods(repository):
    assert repository.handle(Request("POST", "/anchor.pem")).status == 405
    head = repository.handle(Request("HEAD", crl_path(PKI.operating)))
    assert (head.status, head.body) == (200, b"")

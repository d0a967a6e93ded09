"""A repository gives exactly its files, whatever path is asked for."""

from __future__ import annotations

import http.client
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Request
from e2s.network.sessions.local import LocalExchange
from e2s.network.sessions.server import Served
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
    repository.file(wrong).write_bytes(PKI.operating.der)
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
    assert head.status == 200
    assert head.body == got(repository, crl_path(PKI.operating)).body


# ---------------------------------------------------------------------- conditional requests


def got(repository, path, **headers):
    return repository.handle(
        Request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    )


def test_what_the_asker_has_is_not_sent_again(repository):
    path = crl_path(PKI.operating)
    first = got(repository, path)
    tag, date = first.headers["etag"], first.headers["last-modified"]
    for headers in (
        {"if_none_match": tag},
        {"if_none_match": f'"other", W/{tag}'},
        {"if_none_match": "*"},
        {"if_modified_since": date},
    ):
        again = got(repository, path, **headers)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    for headers in (
        {"if_none_match": '"other"', "if_modified_since": date},
        {"if_modified_since": "Mon, 01 Jan 2001 00:00:00 GMT"},
        {"if_modified_since": "soon"},
        {"if_modified_since": "Mon, 99 Jan 99999 00:00:00 GMT"},
    ):
        assert got(repository, path, **headers).status == 200


def test_a_newer_list_has_another_tag_and_another_second(repository):
    """Web servers and caches that tell files apart by the second must see that it is a new one."""
    path = crl_path(PKI.operating)
    dates, tags = set(), set()
    for _ in range(4):
        repository.publish_crl(PKI.operating, PKI.crls()[1])
        answer = got(repository, path)
        dates.add(answer.headers["last-modified"])
        tags.add(answer.headers["etag"])
    assert len(dates) == len(tags) == 4


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    made = Repository(tmp_path_factory.mktemp("lasting"))
    made.publish_anchor(PKI.root)
    return made


@given(tag=st.text(max_size=60), date=st.text(max_size=60))
def test_garbage_validators(lasting, tag, date):
    answer = got(lasting, "/anchor.pem", if_none_match=tag, if_modified_since=date)
    assert answer.status in {200, 304}


def test_shards_and_deltas_are_files_of_their_own(repository, exchange):
    for shard, delta in ((None, True), (0, False), (12, True)):
        octets = f"{shard} {delta}".encode()
        repository.publish_crl(PKI.operating, octets, shard, delta=delta)
        assert got(repository, crl_path(PKI.operating, shard, delta=delta)).body == octets
    assert fetch_crl(exchange, ORIGIN, PKI.operating).startswith(b"\x30")


# ---------------------------------------------------------------------- a full disk


def fill(path):
    """Fill the disk."""
    with (path / "others").open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.fixture
def small(tmp_path):
    """A disk of 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.fail("this machine lets nobody mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_no_revocation_from_being_told(small):
    made = Repository(small / "public", reserve=64 * 1024)
    made.publish_crl(PKI.operating, PKI.crls()[1])
    fill(small)
    with pytest.raises(Unreachable, match="disk-full"):
        made.publish_certificate(PKI.root)
    assert got(made, certificate_path(PKI.root.digest)).status == 404
    newer = PKI.crls()[1] + bytes(8192)
    made.publish_crl(PKI.operating, newer)
    assert got(made, crl_path(PKI.operating)).body == newer
    fill(small)
    with pytest.raises(Unreachable, match="disk-full"):
        made.publish_crl(PKI.operating, newer + bytes(200_000))
    assert got(made, crl_path(PKI.operating)).body == newer
    (small / "others").unlink()
    made.publish_certificate(PKI.root)
    assert got(made, certificate_path(PKI.root.digest)).body == PKI.root.der


def test_over_sockets_others_get_what_http_says(repository):
    """GET, HEAD with the length of GET, 304 without one, and 405; by the library's client."""
    path = crl_path(PKI.operating)
    body = got(repository, path).body
    with Served(repository.handle) as served:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)

        def asked(method, **headers):
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}

        status, came, headers = asked("GET")
        assert (status, came, headers["content-length"]) == (200, body, str(len(body)))
        status, came, head = asked("HEAD")
        assert (status, came, head["content-length"]) == (200, b"", str(len(body)))
        status, came, again = asked("GET", **{"If-None-Match": headers["etag"]})
        assert (status, came, "content-length" in again) == (304, b"", False)
        assert again["etag"] == headers["etag"]
        assert asked("DELETE")[0] == 405
        connection.close()

"""Messages of CMP read as they were written, and garbage is refused (RFC 9810, 5; RFC 4211)."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der
from e2s.crypto.password_mac import (
    MAX_ITERATIONS,
    MIN_ITERATIONS,
    WAYS,
    is_password_mac,
    mac_algorithm,
    password_mac,
    way_of,
)
from e2s.crypto.suites.identifiers import SHA256
from e2s.security.cmp import answers, requests
from e2s.security.cmp.header import Header
from e2s.security.cmp.message import Part, read_message, write_message
from e2s.security.cmp.pieces import Information, StatusInfo, read_status_info, status_info
from e2s.security.cmp.templates import Template, names_extension, read_template
from e2s.security.cmp.vocabulary import FAILURES, Body, Failure, failure_of
from tests.worlds.enrolment import key

TIMES = st.integers(946_684_800, 2_493_072_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
OCTETS = st.binary(min_size=16, max_size=64)
TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=40), max_size=3).map(tuple)
INFORMATION = st.lists(
    st.builds(Information, st.just("1.3.6.1.5.5.7.4.13"), st.sampled_from([b"", b"\x05\0", b"\x04\x01a"])),
    max_size=3,
).map(tuple)
HEADERS = st.builds(
    Header,
    version=st.sampled_from([2, 3]),
    time=st.none() | TIMES,
    sender_key=st.binary(max_size=30),
    transaction=OCTETS,
    nonce=OCTETS,
    answered=st.just(b"") | OCTETS,
    texts=TEXTS,
    information=INFORMATION,
)
STATUSES = st.builds(
    StatusInfo,
    status=st.integers(0, 6),
    texts=TEXTS,
    failures=st.frozensets(st.sampled_from([int(one) for one in Failure])),
)


def shown(header: Header) -> dict:
    return {name: getattr(header, name) for name in Header.__dataclass_fields__}


@settings(max_examples=40)
@given(HEADERS, st.sampled_from(list(Body)), st.binary(max_size=40))
def test_a_message_reads_as_it_was_written(header, kind, content):
    written = write_message(header, Part(kind, der.octet_string(content)))
    read = read_message(written)
    assert shown(read.header) == shown(header)
    assert read.body == Part(kind, der.octet_string(content))
    assert written.endswith(read.protected[-len(der.octet_string(content)) :])


@settings(max_examples=40)
@given(st.binary(max_size=200))
def test_garbage_is_refused(octets):
    for read in (read_message, requests.read_request, requests.read_ending, answers.read_certified):
        with pytest.raises(Refusal):
            read(octets)


@settings(max_examples=40)
@given(STATUSES)
def test_a_status_reads_as_it_was_written(status):
    assert read_status_info(der.Reader(status_info(status))) == status


@settings(max_examples=40)
@given(st.binary(max_size=64), st.integers(-1, 0), st.none() | STATUSES, st.sampled_from([b"", SHA256]))
def test_a_confirmation_reads_as_it_was_written(digest, number, status, algorithm):
    one = answers.Confirmation(digest, number, status, algorithm)
    assert answers.read_confirmation(answers.confirmation(one)) == one


@settings(max_examples=40)
@given(STATUSES, st.none() | st.integers(0, 2**31), TEXTS)
def test_an_error_reads_as_it_was_written(status, code, details):
    one = answers.Error(status, code, details)
    assert answers.read_error(answers.error(one)) == one


@settings(max_examples=40)
@given(st.integers(-1, 0), st.integers(0, answers.MAX_WAIT_SECONDS), TEXTS)
def test_when_to_ask_again_reads_as_it_was_written(number, seconds, texts):
    wait = answers.Wait(number, seconds, texts)
    assert answers.read_poll_answer(answers.poll_answer(wait)) == wait


@settings(max_examples=40)
@given(st.integers(1, 2**150), st.integers(0, 10))
def test_an_ending_reads_as_it_was_written(serial, reason):
    ending = requests.Ending(requests.Named(der.sequence(), serial), reason)
    assert requests.read_ending(requests.write_ending(ending)) == ending


@settings(max_examples=40)
@given(
    st.integers(1, 2**150),
    st.none() | TIMES,
    st.none() | TIMES,
    st.lists(
        st.sampled_from(["urn:e2s:a:b:c", "host.example", "192.0.2.1", "2001:db8::1", "a@b.example"]),
        max_size=4,
    ),
)
def test_a_template_reads_as_it_was_written(serial, begin, end, names):
    template = Template(
        serial=serial,
        issuer=der.sequence(),
        subject=der.sequence(),
        spki=der.sequence(der.NULL.to_bytes() + b"\0"),
        not_before=begin,
        not_after=end,
        extensions=names_extension(names),
    )
    read = read_template(der.Reader(template.der))
    assert read.der == template.der
    assert read.names == tuple(names)


@pytest.mark.parametrize("suite", ["p256-sha256", "ed25519", "ml-dsa-65", "p384-sha384"])
def test_a_request_proves_its_key(suite):
    private = key(suite)
    content = requests.write_request(private, subject=der.sequence(), names=("urn:e2s:a:b:c",))
    read = requests.read_request(content)
    assert read.proven().spki == read.template.spki
    assert read.template.names == ("urn:e2s:a:b:c",)


@settings(max_examples=40)
@given(st.binary(max_size=60))
def test_a_mac_by_garbage_is_refused(octets):
    with pytest.raises(Refusal):
        password_mac(octets, b"secret", b"data")


@pytest.mark.parametrize("way", WAYS)
def test_a_mac_is_of_its_secret_salt_and_data(way):
    first, second = (mac_algorithm(way, secrets.token_bytes) for _ in range(2))
    assert (way_of(first), is_password_mac(first), is_password_mac(SHA256)) == (way, True, False)
    made = {password_mac(a, s, d) for a in (first, second) for s in (b"s", b"t") for d in (b"d", b"e")}
    assert len(made) == 8
    assert password_mac(first, b"s", b"d") == password_mac(first, b"s", b"d")


@pytest.mark.parametrize("iterations", [MIN_ITERATIONS - 1, MAX_ITERATIONS + 1])
def test_iterations_that_nobody_would_read_are_not_written(iterations):
    with pytest.raises(Misuse, match="bad-iterations"):
        mac_algorithm("pbm", secrets.token_bytes, iterations)


def test_each_rule_has_its_failure():
    assert {failure_of(rule) for rule in FAILURES} <= set(Failure)
    assert failure_of("der-tag") is Failure.BAD_DATA_FORMAT
    assert failure_of("whatever") is Failure.BAD_REQUEST

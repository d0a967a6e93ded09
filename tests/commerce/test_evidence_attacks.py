"""Attacks on evidence: altered, mixed, backdated or stripped bundles are found, with the check named."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.commerce import archive
from e2s.commerce.bankcard.evidence import Bundle, Report, TradeRecord, judge, read_bundle, write_bundle
from e2s.commerce.evidence import pack
from e2s.crypto.acts import read_act
from e2s.crypto.certificates import Certificate
from tests.worlds.pki import START, make_pki
from tests.worlds.trade import Play, make_cast, the_cast

WHOLE = Play().whole()
OCTETS = {role: write_bundle(WHOLE.record(role)) for role in ("buyer", "merchant", "gateway", "issuer")}


def report(octets: bytes) -> Report:
    return judge(octets, the_cast().pki.anchors)


def checks(found: Report) -> set[int]:
    return {finding.check for finding in found.findings}


def files(role: str = "buyer") -> dict[str, bytes]:
    return dict(read_bundle(OCTETS[role]).files)


def listed(held: Mapping[str, bytes], role: str = "buyer") -> bytes:
    """A bundle with a manifest that fits, as a forger of bundles would make it."""
    bundle = read_bundle(OCTETS[role])
    return pack(held, trade=bundle.trade, party=bundle.party, suites=bundle.suites)


def unlisted(held: Mapping[str, bytes], role: str = "buyer") -> bytes:
    """The same files under the manifest of the honest bundle."""
    manifest = archive.read_archive(OCTETS[role])[0]
    return archive.write_archive([manifest, *held.items()])


# ------------------------------------------------------------------ the attacks of the protocol's section 8
# By place, not by name: names are digests, and each worker of the tests makes a bundle of its own.
@pytest.mark.parametrize("place", range(len(files("merchant"))))
def test_file_dropped(place: int) -> None:
    held = files("merchant")
    name = sorted(held)[place]
    del held[name]
    found = report(unlisted(held, "merchant"))
    assert (2, name) in {(finding.check, finding.object) for finding in found.findings}
    # with a manifest made to fit: a relation breaks, or less is proven, unless a copy lies inside another act
    forged, honest = report(listed(held, "merchant")), report(OCTETS["merchant"])
    less = set(forged.gaps) != set(honest.gaps) or _proof(forged) < _proof(honest)
    elsewhere = name.startswith("certs/") or any(
        _id(name) in _inside(held[one]) for one in held if "acts/" in one
    )
    assert not forged.holds or less or (elsewhere and forged.commitments == honest.commitments)


def _id(name: str) -> str:
    return read_act(files("merchant")[name]).id if name.startswith("acts/") else ""


def _inside(octets: bytes) -> set[str]:
    act = read_act(octets)
    return {act.id}.union(*(_inside(one) for one in act.over))


def _proof(found: Report) -> int:
    return len(found.commitments) + sum(one.proven for one in found.commitments)


def test_file_added() -> None:
    other = Play().whole()
    held = {**files(), "acts/08-pinit.cms": other.acts["pinit"]}
    found = report(unlisted(held))
    assert [(f.check, f.object) for f in found.findings if f.check <= 3] == [(2, "acts/08-pinit.cms")]
    assert {18} <= checks(report(listed(held)))
    noise = report(listed({**files(), "opened/XX.json": b"{}"}))
    assert {2, 6} <= checks(noise)


def test_token_swapped() -> None:
    held = files()
    one, other = sorted(name for name in held if name.startswith("stamps/"))
    held[one], held[other] = held[other], held[one]
    assert checks(report(unlisted(held))) >= {3, 14}
    found = report(listed(held))
    assert checks(found) == {14}
    assert not any(commitment.proven for commitment in found.commitments)


def test_certificate_swapped() -> None:
    held = files()
    authority = the_cast().pki.operating
    name = next(n for n, octets in held.items() if octets == authority.der)
    held[name] = make_pki().operating.der
    assert checks(report(unlisted(held))) == {3}
    assert checks(report(listed(held))) == {3}
    # the certificate inside an act, where another key was certified for the same name
    rival = the_cast().pki.signer("merchant", the_cast().merchant.certificate.names).certificate
    act = WHOLE.acts["confirm"]
    mine = the_cast().merchant.certificate
    swapped = _replaced(act, mine, rival)
    found = report(listed({**files(), "acts/01-confirm.cms": swapped}))
    assert checks(found) & {4, 8}
    assert "contract" not in {one.act for one in found.commitments}


def _replaced(act: bytes, mine: Certificate, other: Certificate) -> bytes:
    return act.replace(mine.der, other.der).replace(mine.issuer_and_serial, other.issuer_and_serial)


def test_trade_mixed() -> None:
    other = Play().whole()
    held = files()
    for name, act in (("acts/05-delivery.cms", "delivery"), ("acts/06-receipt.cms", "receipt")):
        held[name] = other.acts[act]
    found = report(listed(held))
    assert 18 in checks(found)
    assert all(
        "trade" in f.object or "xid" in f.object or "cid" in f.object for f in found.findings if f.check == 18
    )
    whole = {**files(), "opened/OI.json": files_of(other)["opened/OI.json"]}
    assert {18, 24} <= checks(report(listed(whole)))


def files_of(play: Play, role: str = "buyer") -> dict[str, bytes]:
    return dict(read_bundle(write_bundle(play.record(role))).files)


def test_revoked_before_stamp() -> None:
    cast = make_cast()
    play = Play(cast=cast, stamped_at={"confirm": 600}).whole()
    cast.pki.revoke(cast.merchant.certificate, at=play.begins + timedelta(seconds=300))
    found = judge(write_bundle(play.record(crls=cast.pki.crls(play.begins))), cast.pki.anchors)
    refused = {(f.check, f.object) for f in found.findings}
    assert (12, "acts/01-confirm.cms") in refused
    assert "confirm" not in {one.act for one in found.commitments}
    # a stamp from before the revocation keeps the act, and only what it dates
    kept = Play(cast=cast, stamped_at={"confirm": 66}).contract()
    found = judge(write_bundle(kept.record(crls=cast.pki.crls(play.begins))), cast.pki.anchors)
    assert found.holds
    assert found.outcome == "contract"


def test_backdated_confirmation() -> None:
    # claimed at 65 s, in time; the stamp shows that it was made after confirmBy
    late = Play(stamped_at={"confirm": 900 + 241}).contract()
    found = report(write_bundle(late.record()))
    assert [(f.check, f.object) for f in found.findings] == [(23, "acts/01-confirm.cms")]
    assert "proven at" in found.findings[0].found
    in_time = Play(stamped_at={"confirm": 900 + 240}).contract()
    found = report(write_bundle(in_time.record()))
    assert found.holds
    assert any("later than claimed" in gap for gap in found.gaps)


def test_stripped_inner_signature() -> None:
    bare = Play(over={"confirm": ()}).contract()
    found = report(write_bundle(bare.record()))
    assert [(f.check, f.object) for f in found.findings] == [(16, "acts/01-confirm.cms"), (30, "the bundle")]
    assert "confirm" not in {one.act for one in found.commitments}
    # the acceptance under the confirmation replaced by the offer alone
    skipped = Play(over={"confirm": ("offer",)}).contract()
    found = report(write_bundle(skipped.record()))
    assert (16, "acts/01-confirm.cms") in {(f.check, f.object) for f in found.findings}
    # the inner act's signature value cut out of the stored octets
    held = files()
    signature = read_act(held["acts/01-confirm.cms"]).inner().signature
    held["acts/01-confirm.cms"] = held["acts/01-confirm.cms"].replace(signature, bytes(len(signature)))
    assert checks(report(listed(held))) & {4, 7}


def test_equivocating_merchant() -> None:
    play = Play(changes={"again": {"until": "2026-03-03T00:00:00Z"}}).whole().confirm_again()
    found = report(write_bundle(play.record(only=("confirm", "again"), opened={})))
    (finding,) = [f for f in found.findings if f.check == 29]
    assert "urn:e2s:market:volt" in finding.found
    assert "equivocation" in finding.found
    assert finding.object == "acts/01-confirm.cms and acts/02-confirm.cms"


def test_a_malleated_copy_is_no_equivocation() -> None:
    """Two signatures over one content are one act: identity is the digest of what was signed."""
    play = Play().contract()
    act = play.read("confirm")
    again = type(play)(cast=play.cast, trade=play.trade, acts=dict(play.acts), begins=play.begins)
    again.sign(
        "confirm", play.cast.merchant, act.document["to"], {"accept": play.id("accept")}, ["accept"],
        until=act.document["until"],
    )  # fmt: skip
    assert again.acts["confirm"] != play.acts["confirm"]
    record = play.record()
    both = [*record.acts, ("copy", "e2s/1/confirm", again.acts["confirm"])]
    assert report(write_bundle(play.record(acts=both))).holds


# ------------------------------------------------------------------ any octet, and garbage
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(OCTETS)), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_any_altered_octet_is_found(role: str, place: float, change: int) -> None:
    octets = bytearray(OCTETS[role])
    octets[int(place * len(octets))] ^= change
    found = report(bytes(octets))
    assert not found.holds
    assert checks(found) & {1, 2, 3}
    with pytest.raises(Refusal) as refused:
        read_bundle(bytes(octets))
    assert refused.value.rule == "bad-bundle"
    assert refused.value.facts["check"] in {1, 2, 3}


def _manifest_span() -> tuple[int, int]:
    start = OCTETS["buyer"].index(b"{")
    return start, OCTETS["buyer"].index(b"}]", start) + 100


@given(st.integers(*_manifest_span()), st.integers(1, 255))
def test_any_altered_octet_of_the_manifest_is_found(place: int, change: int) -> None:
    octets = bytearray(OCTETS["buyer"])
    octets[place] ^= change
    assert not report(bytes(octets)).holds


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(files("merchant"))), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_any_altered_octet_under_a_forged_manifest_is_found_or_proves_nothing_else(
    name: str, place: float, change: int
) -> None:
    held = files("merchant")
    octets = bytearray(held[name])
    octets[int(place * len(octets))] ^= change
    held[name] = bytes(octets)
    found = report(listed(held, "merchant"))
    # or it is an octet of a chain or token that nobody signed and another copy makes up for: same proof
    assert not found.holds or found.commitments == report(OCTETS["merchant"]).commitments


@given(st.binary(max_size=4096) | st.binary(max_size=2048).map(lambda b: b + bytes(-len(b) % 10_240)))
def test_garbage_is_a_refusal(octets: bytes) -> None:
    found = report(octets)
    assert not found.holds
    with pytest.raises(Refusal):
        read_bundle(octets)


NAMES = ("acts/01-offer.cms", "stamps/a.tst", "opened/OI.json", "certs/a.cer", "crls/a.crl", "ocsp/a.ors")


@given(st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=300), min_size=1))
def test_garbage_in_a_well_formed_bundle_is_found(held: dict[str, bytes]) -> None:
    found = report(pack(held, trade=WHOLE.trade, party="urn:e2s:market:alpha", suites=["p256-sha256"]))
    assert not found.holds


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.data())
def test_mutated_acts_in_a_bundle_are_found(cuts: list[int], data: st.DataObject) -> None:
    act = bytearray(WHOLE.acts["confirm"])
    for _ in cuts:
        at = data.draw(st.integers(0, len(act) - 1))
        act[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    if bytes(act) == WHOLE.acts["confirm"]:
        return
    found = report(listed({**files(), "acts/01-confirm.cms": bytes(act)}))
    assert not found.holds


def _header(name: bytes, size: bytes) -> bytes:
    header = bytearray(archive._header("acts/01-offer.cms", 0))
    header[: len(name)] = name
    header[124:136] = size
    return bytes(header) + bytes(10_240 - 512)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        bytes(10_240),
        bytes(10_241),
        _header(b"acts/01-offer.cms", b"77777777777\x00"),
        _header(b"acts/01-offer.cms", b"\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"),
        _header(b"../../etc/passwd\x00", b"00000000000\x00"),
        _header(b"/etc/passwd\x00\x00\x00\x00\x00\x00", b"00000000000\x00"),
        _header("acts/ö.cms".encode() + b"\x00", b"00000000000\x00"),
        archive._header("acts/01-offer.cms", 0) * 1000 + bytes(-512_000 % 10_240),
    ],
    ids=["empty", "zeros", "size", "huge", "base256", "dots", "root", "unicode", "many"],
)
def test_archives_that_are_none_are_refused_within_bounds(octets: bytes) -> None:
    tracemalloc.start()
    try:
        found = report(octets)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert checks(found) <= {1, 2}
    assert not found.holds
    assert peak < 64 * 1024 * 1024


def test_a_name_twice_is_refused() -> None:
    one = archive._header("acts/01-offer.cms", 0)
    octets = one + one + bytes(10_240 - 1024)
    with pytest.raises(Refusal, match="bad-archive"):
        archive.read_archive(octets)
    with pytest.raises(Misuse, match="bad-archive"):
        archive.write_archive([("acts/01-offer.cms", b""), ("acts/01-offer.cms", b"")])


@given(st.dictionaries(st.from_regex(r"(acts/|certs/)?[a-z0-9_-]{1,20}\.[a-z]{3}", fullmatch=True),
                       st.binary(max_size=1500), max_size=8))  # fmt: skip
def test_archive_round_trip(held: dict[str, bytes]) -> None:
    octets = archive.write_archive(held.items())
    if not held:  # zeros alone: an archive of no file
        assert len(octets) == 10_240
    assert dict(archive.read_archive(octets)) == held


def test_a_record_that_is_no_trades_is_misuse() -> None:
    with pytest.raises(Misuse, match="bad-record"):
        write_bundle(TradeRecord(trade="t", party="p", acts=(), opened={"XX": b"{}"}))


def test_nested_acts_cannot_make_the_judge_work_without_end() -> None:
    """Four copies at each of many levels would be 4**n acts; the same octets are looked at once."""
    play = Play().contract()
    for _ in range(8):
        play.sign("offer", play.cast.merchant, ["urn:e2s:market:alpha"], _offer(play), ["offer"] * 4)
        if len(play.acts["offer"]) > 900_000:
            break
    with pytest.raises(Refusal):
        read_act(play.acts["offer"] + b"\x00")
    record: dict[str, Any] = {"only": ("confirm",), "suites": ["p256-sha256"]}
    held = files_of(play) | {"acts/02-offer.cms": play.acts["offer"]}
    assert record
    found = report(pack(held, trade=play.trade, party="urn:e2s:market:alpha", suites=["p256-sha256"]))
    assert 16 in checks(found)


def _offer(play: Play) -> dict[str, Any]:
    document = dict(play.read("offer").document)
    return {k: v for k, v in document.items() if k not in {"type", "from", "to", "at", "until", "trade"}}


def test_a_bundle_is_data_that_can_be_looked_into() -> None:
    bundle = read_bundle(OCTETS["buyer"])
    assert isinstance(bundle, Bundle)
    assert bundle.trade == WHOLE.trade
    assert [name for name, _ in bundle.of("act")] == [
        n for n in sorted(bundle.files) if n.startswith("acts/")
    ]
    assert WHOLE.begins > START

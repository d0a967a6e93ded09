"""Each of the thirty checks finds what it is for, in a bundle that is otherwise whole."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import pytest

from e2s.base import wire
from e2s.base.wire import b64u
from e2s.commerce.archive import write_archive
from e2s.commerce.bankcard.evidence import CHECKS, Report, judge, read_bundle, write_bundle
from e2s.commerce.evidence import pack
from e2s.commerce.order import sums
from e2s.crypto import acts, der, oids
from e2s.crypto.acts import digest_id
from e2s.crypto.cms import sign
from tests.worlds.pki import START, make_pki
from tests.worlds.trade import LINES, Cast, Play, make_cast, stamp, the_cast


class Case(NamedTuple):
    """A bundle with one thing wrong, where it is wrong, and the people it is among."""

    octets: bytes
    where: str
    cast: Cast = the_cast()


Tamper = Callable[[], Case]


def bundle(play: Play, role: str = "buyer", **more: Any) -> bytes:
    return write_bundle(play.record(role, **more))


def whole(**more: Any) -> Play:
    return Play(**more).whole()


def report(octets: bytes, **more: Any) -> Report:
    return judge(octets, the_cast().pki.anchors, **more)


def repacked(play: Play, files: Mapping[str, bytes]) -> bytes:
    """The buyer's bundle with files replaced, and a manifest that fits."""
    held = {**read_bundle(bundle(play)).files, **files}
    return pack(held, trade=play.trade, party=play.record().party, suites=["p256-sha256"])


# ------------------------------------------------------------------ one tampering for each check
def check_1() -> Case:
    octets = bytearray(bundle(whole()))
    octets[108] = ord("1")  # the owner of the first file
    return Case(bytes(octets), "manifest.json")


def check_2() -> Case:
    held = read_bundle(bundle(whole())).files
    manifest = wire.encode({"type": "e2s/1/manifest", "trade": "t", "party": "p", "suites": [], "files": []})
    return Case(write_archive([("manifest.json", manifest), *held.items()]), "acts/01-confirm.cms")


def check_3() -> Case:
    octets = bundle(whole())
    held = dict(read_bundle(octets).files)
    start = octets.index(b"{")
    manifest = octets[start : octets.index(b"\x00", start)]
    name = next(iter(name for name in held if name.startswith("opened/")))
    held[name] = held[name].replace(b"Resistor", b"Inductor")
    return Case(write_archive([("manifest.json", manifest), *held.items()]), name)


def check_4() -> Case:
    play = whole()
    octets = play.acts["pinit"]
    # an indefinite length, as BER would allow
    return Case(
        repacked(play, {"acts/02-pinit.cms": octets[:1] + b"\x80" + octets[4:] + b"\x00\x00"}),
        "acts/02-pinit.cms",
    )


def check_5() -> Case:
    play = whole()
    document = play.read("pinit").doc_octets.replace(b'{"at"', b'{ "at"')
    content = acts.write_content(document, ())
    signed = sign(content, oids.ACT, play.cast.till, play.read("pinit").at)
    return Case(repacked(play, {"acts/02-pinit.cms": signed}), "acts/02-pinit.cms")


def check_6() -> Case:
    return Case(bundle(whole(changes={"pinit": {"discount": "10"}})), "acts/02-pinit.cms")


def check_7() -> Case:
    play = whole()
    octets = play.acts["pinit"]
    return Case(
        repacked(play, {"acts/02-pinit.cms": octets[:-1] + bytes([octets[-1] ^ 1])}), "acts/02-pinit.cms"
    )


def check_8() -> Case:
    return bundle_with_swapped_certificate()


def bundle_with_swapped_certificate() -> Case:
    """The same key certified a second time; the certificate inside the message is replaced by the other."""
    play = Play().contract().order()
    cast = play.cast
    mine = cast.till.certificate
    other = mine
    while other == mine or len(other.der) != len(mine.der):  # signatures differ in size by an octet
        other, _, _ = cast.pki.issue("merchant-payment", mine.names, private_key=cast.till._key)
    act, document = play.read("pinit"), dict(play.read("pinit").document)
    document["from"] = other.id
    content = acts.write_content(wire.encode(document), ())
    honest = sign(content, oids.ACT, cast.till, act.at)
    swapped = honest.replace(mine.issuer_and_serial, other.issuer_and_serial).replace(mine.der, other.der)
    return Case(repacked(play, {"acts/02-pinit.cms": _relength(swapped)}), "acts/02-pinit.cms")


def _relength(octets: bytes) -> bytes:
    """The same message with its certificates in DER's order (equal sizes, so nothing else moves)."""
    outer = der.Reader(octets).enter()
    outer.element()
    data = outer.enter(0xA0).enter()
    data.element()
    data.element()
    data.element()
    start, stop = data.span(0xA0)
    inside = der.Reader(octets, start, stop).elements(der.SEQUENCE, 8)
    return octets[:start] + b"".join(sorted(inside)) + octets[stop:]


def check_9() -> Case:
    play = whole()
    held = dict(read_bundle(bundle(play)).files)
    suites = ["p384-sha384"]
    return Case(
        pack(held, trade=play.trade, party=play.record().party, suites=suites), "manifest.json suites"
    )


def check_10() -> Case:
    stranger = make_pki("elsewhere").signer("gateway", "urn:e2s:market:acquirer")
    return Case(bundle(whole(by={"authres": stranger})), "acts/04-pres.cms > authres")


def check_11() -> Case:
    return Case(bundle(whole(by={"pinit": the_cast().merchant})), "acts/02-pinit.cms")


def check_12() -> Case:
    cast = make_cast()
    play = whole(cast=cast)
    cast.pki.revoke(cast.till.certificate, at=play.begins)
    return Case(
        write_bundle(play.record(crls=cast.pki.crls(START + timedelta(minutes=30)))),
        "acts/02-pinit.cms",
        cast,
    )


def check_13() -> Case:
    play = whole()
    play.stamps[play.id("confirm")] = stamp(
        play.cast.issuer, play.acts["confirm"], play.begins + timedelta(seconds=66)
    )
    return Case(bundle(play), "stamps/" + play.id("confirm")[8:] + ".tst")


def check_14() -> Case:
    play = whole()
    play.stamps[play.id("confirm")] = play.stamps[play.id("delivery")]
    return Case(bundle(play), "stamps/" + play.id("confirm")[8:] + ".tst")


def check_15() -> Case:
    play = whole(stamped_at={"confirm": -240})
    return Case(bundle(play), "stamps/" + play.id("confirm")[8:] + ".tst")


def check_16() -> Case:
    return Case(
        bundle(whole(changes={"confirm": {"accept": digest_id(b"another")}})), "acts/01-confirm.cms accept"
    )


def check_17() -> Case:
    return Case(
        bundle(whole(changes={"pay": {"to": ["urn:e2s:market:volt", "urn:e2s:market:bank"]}})),
        "acts/03-pay.cms",
    )


def check_18() -> Case:
    other = b64u(secrets.token_bytes(16))
    return Case(bundle(whole(changes={"pinit": {"trade": other}})), "acts/02-pinit.cms trade")


def check_19() -> Case:
    colleague = the_cast().pki.signer("buyer", ("urn:e2s:market:beta:bert", "urn:e2s:market:beta"))
    return Case(bundle(whole(by={"accept": colleague})), "acts/01-confirm.cms > accept from")


def check_20() -> Case:
    rival = the_cast().pki.signer("merchant", "urn:e2s:market:watt")
    return Case(bundle(whole(by={"confirm": rival})), "acts/01-confirm.cms signer")


def check_21() -> Case:
    cast = make_cast()
    rival = cast.pki.signer("issuer", "urn:e2s:market:otherbank")
    play = whole(cast=cast, by={"decision": rival}, changes={"pay": {"issuer": rival.certificate.id}})
    return Case(bundle(play), "", cast)


def check_22() -> Case:
    return Case(bundle(whole(changes={"offer": {"tax": "1.00"}})), "acts/01-confirm.cms > accept > offer tax")


def check_23() -> Case:
    play = Play()
    return Case(
        bundle(whole(changes={"accept": {"payBy": play.when(9000)}})), "acts/01-confirm.cms > accept payBy"
    )


def check_24() -> Case:
    cheap = sums([{**LINES[0], "qty": "2000"}], "EUR")
    return Case(bundle(whole(instructions={"OI": cheap})), "opened/OI.json lines")


def check_25() -> Case:
    return Case(
        bundle(whole(changes={"decision": {"amount": "43.70"}})),
        "acts/04-pres.cms > authres > decision amount",
    )


def check_26() -> Case:
    play = whole(changes={"authres": {"merchant": digest_id(b"another merchant")}})
    return Case(bundle(play), "acts/04-pres.cms > authres merchant")


def check_27() -> Case:
    return Case(
        bundle(whole(changes={"delivery": {"lines": [{"n": 1, "qty": "1001"}]}})), "acts/05-delivery.cms"
    )


def check_28() -> Case:
    def dearer(document: dict[str, Any]) -> None:
        document["entries"][0]["amount"] = "50.00"

    play = whole(changes={"statement": dearer})
    return Case(bundle(play), "acts/07-statement.cms amount")


def check_29() -> Case:
    play = whole(changes={"again": {"until": "2026-03-03T00:00:00Z"}})
    play.confirm_again()
    return Case(
        bundle(play, only=("confirm", "again", "pinit")), "acts/01-confirm.cms and acts/02-confirm.cms"
    )


def check_30() -> Case:
    play = whole()
    return Case(bundle(play, only=(), stamps={}, opened={}), "the bundle")


TAMPERED: dict[int, Tamper] = {n: globals()[f"check_{n}"] for n in range(1, 31)}


@pytest.mark.parametrize("number", TAMPERED, ids=lambda n: f"{n}-{CHECKS[n].replace(' ', '-')}")
def test_each_check_finds_what_it_is_for(number: int) -> None:
    octets, where, cast = TAMPERED[number]()
    found = judge(octets, cast.pki.anchors)
    assert not found.holds
    mine = [finding for finding in found.findings if finding.check == number]
    assert mine, found.findings
    assert any(where in finding.object for finding in mine), mine
    assert all(finding.expected and finding.found for finding in mine)


@pytest.mark.parametrize("role", ["buyer", "merchant", "gateway", "issuer"])
def test_an_honest_trade_holds_for_each_role(role: str) -> None:
    found = report(bundle(whole(), role))
    assert found.findings == ()
    assert found.outcome == "captured"


def test_a_bundle_has_one_encoding() -> None:
    play = whole()
    assert bundle(play) == bundle(play)
    held = read_bundle(bundle(play)).files
    again = pack(
        dict(reversed(list(held.items()))),
        trade=play.trade,
        party=play.record().party,
        suites=["p256-sha256"],
    )
    assert again == bundle(play)


def test_it_is_an_archive_that_tar_reads() -> None:
    import io
    import tarfile

    play = whole()
    with tarfile.open(fileobj=io.BytesIO(bundle(play)), mode="r:") as archive:
        names = archive.getnames()
        assert names[0] == "manifest.json"
        assert names[1:] == sorted(names[1:])
        confirm = archive.extractfile("acts/01-confirm.cms")
        assert confirm is not None
        assert confirm.read() == play.acts["confirm"]
        assert all(
            m.mtime == 0 and m.uid == 0 and m.gid == 0 and m.mode == 0o644 for m in archive.getmembers()
        )


def test_times_are_proven_only_by_stamps_and_for_all_that_lies_inside() -> None:
    play = whole()
    found = {one.act: one for one in report(bundle(play, "merchant")).commitments}
    for name in ("offer", "accept", "confirm"):
        assert found[name].proven
        assert found[name].at == play.begins + timedelta(seconds=66)
    for name in ("delivery", "pres", "authres", "decision", "pay"):
        assert found[name].dated_by == play.id("delivery")
    for name in ("pinit", "auth", "capreq", "captured", "receipt"):
        assert not found[name].proven


def test_without_a_stamp_the_contract_binds_but_its_time_is_claimed_only() -> None:
    play = whole()
    del play.stamps[play.id("confirm")]
    found = report(bundle(play, "merchant", only=("confirm", "pinit")))
    assert found.holds
    assert found.outcome == "contract"
    assert "acts/01-confirm.cms: time claimed only, no time stamp" in found.gaps


@pytest.mark.parametrize(
    ("steps", "result", "outcome"),
    [
        (("contract",), "approved", "contract"),
        (("contract", "order"), "approved", "ordered"),
        (("contract", "order", "authorise"), "approved", "paid"),
        (("contract", "order", "authorise"), "declined", "declined"),
        (("contract", "order", "authorise", "deliver"), "approved", "delivered"),
        (("contract", "order", "authorise", "reverse"), "approved", "void"),
    ],
)
def test_partial_trades_hold_and_name_their_gaps(steps: tuple[str, ...], result: str, outcome: str) -> None:
    play = Play(result=result)
    for step in steps:
        getattr(play, step)()
    for role in ("buyer", "merchant"):
        found = report(bundle(play, role))
        assert found.findings == ()
        assert found.outcome == outcome
        assert "no statement of the issuer" in found.gaps


def test_an_offer_that_was_never_accepted_is_shown_as_no_more() -> None:
    play = Play().contract()
    found = report(bundle(play, only=("offer",), stamps={}))
    assert found.holds
    assert found.outcome == "offered"
    assert [one.act for one in found.commitments] == ["offer"]


def test_a_void_by_inquiry_is_the_issuers_word() -> None:
    play = Play().contract().order().inquire("void")
    found = report(bundle(play))
    assert found.holds
    assert found.outcome == "void"


def test_two_honest_clocks_may_be_twice_the_clock_error_apart() -> None:
    assert report(bundle(whole(stamped_at={"confirm": -120}))).holds


def test_what_lies_after_the_instant_of_judgement_is_reported() -> None:
    play = whole()
    early = report(bundle(play), at=play.begins + timedelta(seconds=60))
    assert {finding.check for finding in early.findings} == {15}
    assert report(bundle(play), at=play.begins + timedelta(days=400)).holds


def test_a_judge_without_roots_believes_nobody() -> None:
    found = judge(bundle(whole()), ())
    assert {10, 13} <= {finding.check for finding in found.findings}
    assert found.commitments == ()


def test_the_issuer_may_open_the_card_and_another_card_is_found() -> None:
    play = whole(instructions={"PI": {"pan": "4000000000000002"}})
    found = report(bundle(play, "issuer"))
    assert [(f.check, f.object) for f in found.findings] == [(24, "opened/PI.json pan")]


def test_a_report_says_everything_to_a_program() -> None:
    shown = report(bundle(whole(changes={"offer": {"tax": "1.00"}}))).document()
    assert shown["holds"] is False
    assert shown["findings"][0]["name"] == "sums, VAT and decimals"
    assert {"signer", "role", "act", "id", "words", "at", "claimed", "proven", "dated_by"} == set(
        shown["commitments"][0]
    )
    assert sha256(wire.encode(shown)).digest()

"""Forms: exactly the members that belong, each of its kind, and the place of what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import forms

DIGEST = "sha-256:" + "A" * 43
ENVELOPE = {
    "type": "e2s/1/offer",
    "from": DIGEST,
    "to": ["urn:e2s:test:anna"],
    "at": "2026-05-04T12:00:00Z",
    "until": "2026-05-04T12:02:00Z",
    "trade": "A" * 22,
}
LINE = forms.record({"n": forms.integer(1, 99), "net": forms.amount}, {"note": forms.text(10)})
OFFER = forms.Form(
    "e2s/1/offer",
    {"currency": forms.currency_code, "total": forms.amount, "lines": forms.list_of(LINE, 3, 1)},
    {"remark": forms.text(20)},
)


def offer(**more) -> dict:
    return {**ENVELOPE, "currency": "EUR", "total": "1.00", "lines": [{"n": 1, "net": "1.00"}], **more}


def where(form: forms.Form, document: dict) -> str:
    with pytest.raises(Refusal) as caught:
        form.check(document)
    assert caught.value.rule == "bad-document"
    return str(caught.value.facts["where"])


def test_a_whole_document_passes():
    OFFER.check(offer())
    OFFER.check(offer(remark="as agreed", lines=[{"n": 1, "net": "-1.00", "note": "back"}]))
    OFFER.check(offer(currency="JPY", total="100", lines=[{"n": 1, "net": "100"}]))


@pytest.mark.parametrize("member", [*ENVELOPE, "currency", "total", "lines"])
def test_missing_member(member):
    document = offer()
    del document[member]
    if member == "type":
        with pytest.raises(Refusal, match="wrong-label"):
            OFFER.check(document)
    else:
        assert where(OFFER, document) == member


def test_unknown_member():
    assert where(OFFER, offer(extra=1)) == "extra"
    assert where(OFFER, offer(lines=[{"n": 1, "net": "1.00", "x": 0}])) == "lines.0.x"


def test_wrong_label():
    with pytest.raises(Refusal, match="wrong-label"):
        OFFER.check(offer(type="e2s/1/accept"))


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"from": "sha-256:" + "A" * 42 + "B"}, "from"),
        ({"from": "sha-1:" + "A" * 43}, "from"),
        ({"to": []}, "to"),
        ({"to": "urn:e2s:test:anna"}, "to"),
        ({"to": [7]}, "to.0"),
        ({"at": "2026-05-04 12:00:00Z"}, "at"),
        ({"until": 7}, "until"),
        ({"trade": "A" * 21}, "trade"),
        ({"trade": "A" * 21 + "B"}, "trade"),
        ({"currency": "eur"}, "currency"),
        ({"currency": ["EUR"]}, "currency"),
        ({"total": "1.0"}, "total"),
        ({"total": "1"}, "total"),
        ({"total": 1}, "total"),
        ({"total": "-0.00"}, "total"),
        ({"currency": "JPY"}, "total"),
        ({"lines": [{"n": 1, "net": "1.000"}]}, "lines.0.net"),
        ({"lines": [{"n": 0, "net": "1.00"}]}, "lines.0.n"),
        ({"lines": [{"n": True, "net": "1.00"}]}, "lines.0.n"),
        ({"lines": [{"n": 1}]}, "lines.0.net"),
        ({"lines": [{"n": 1, "net": "1.00"}] * 4}, "lines"),
        ({"lines": {"0": 1}}, "lines"),
        ({"lines": [[1]]}, "lines.0"),
        ({"remark": ""}, "remark"),
        ({"remark": "x" * 21}, "remark"),
    ],
)
def test_wrong_members(wrong, place):
    assert where(OFFER, offer(**wrong)) == place


def test_forms_outside_a_trade_or_without_envelope():
    bare = forms.Form("e2s/1/pi", {"to": forms.text(50)}, envelope=False)
    bare.check({"type": "e2s/1/pi", "to": "urn:e2s:test:gateway"})
    assert where(bare, {**ENVELOPE, "type": "e2s/1/pi", "to": "urn"}) == "from"
    page = forms.Form("e2s/1/page", {}, trade=False)
    page.check({**{k: v for k, v in ENVELOPE.items() if k != "trade"}, "type": "e2s/1/page"})


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (forms.token, ["a", "A-1_~!"], ["", "a b", "é", "x" * 65, 1, "a\n"]),
        (forms.text(5, lines=True), ["a\nb"], ["a\x00b", "a\rb", "abcdef", ""]),
        (forms.text(5, min_length=0), ["", "äöü"], ["a\nb", "\u202eab", "\u2066", "\ufeffa", "\x7f", None]),
        (forms.number, ["0", "12.5", "0.000001"], ["-1", "1e3", "01", ".5", 1, "1.0000001"]),
        (forms.amount, ["0", "1.2345", "-3"], ["1,00", "+1", "1.", "1.23456", "", "0x1"]),
        (forms.amount_not_negative, ["0.00"], ["-1.00", 0]),
        (forms.instant, ["2026-05-04T12:00:00Z"], ["2026-02-30T12:00:00Z", "2026-05-04T12:00:00", None]),
        (forms.boolean, [True, False], [0, 1, "true", None]),
        (forms.integer(), [0, 2**53 - 1], [-1, 2**53, 1.0, "1", True]),
        (forms.one_of("a", "b"), ["a", "b"], ["c", "", None, ["a"]]),
        (forms.octets(2), ["AAA"], ["AA", "AAAA", "AAB", "AAA=", "A+A", 7]),
        (forms.octets_max(3), ["", "AA", "AAAA"], ["AAAAAA", "A"]),
    ],
)
def test_checks(check, good, bad):
    for value in good:
        check(value, "")
    for value in bad:
        with pytest.raises(Refusal, match="bad-document"):
            check(value, "")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(member=st.sampled_from([*offer(), "remark", "new"]), value=values)
def test_garbage_is_refused_or_passes_as_it_is(member, value):
    try:
        OFFER.check(offer(**{member: value}))
    except Refusal as refusal:
        assert refusal.rule in {"bad-document", "wrong-label"}

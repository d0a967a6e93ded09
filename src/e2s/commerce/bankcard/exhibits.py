"""Every act in a bundle is laid open once, with all inside it; what cannot be read is named (checks 4 to 6).

An exhibit's place says how to find it: the file, then the acts it lies in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.commerce.bankcard.report import Finding
from e2s.commerce.bankcard.roles import FORMS, PARTS, PREFIX, Part, short
from e2s.commerce.evidence import Bundle
from e2s.crypto.acts import Act, read_act
from e2s.crypto.certificates import Certificate

MAX_EXHIBITS = 500
MAX_CERTIFICATES = 48


@dataclass(eq=False, kw_only=True)
class Exhibit:
    """One act and where it lies; ``holders`` are the acts that contain it; ``at`` its best known time."""

    act: Act
    place: str
    inner: tuple[Exhibit, ...] = ()
    holders: list[Exhibit] = field(default_factory=list)
    at: datetime
    dated_by: str = ""
    good: bool = True

    @property
    def kind(self) -> str:
        """The short type."""
        return short(self.act.type)

    @property
    def part(self) -> Part:
        """Its row of the table."""
        return PARTS[self.kind]

    @property
    def document(self) -> dict[str, Any]:
        """The document signed."""
        return self.act.document

    @property
    def name(self) -> str:
        """The signer's name."""
        return self.act.certificate.name


@dataclass(kw_only=True)
class Exhibits:
    """All that a bundle shows: acts by octets, opened instructions by name, certificates, CRLs."""

    bundle: Bundle
    acts: dict[bytes, Exhibit] = field(default_factory=dict)
    opened: dict[str, dict[str, Any]] = field(default_factory=dict)
    certificates: list[Certificate] = field(default_factory=list)
    crls: list[bytes] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Exhibit]:
        """Exhibits of these types, each ``#`` once, in their order."""
        found: dict[str, Exhibit] = {}
        for exhibit in self.acts.values():
            if exhibit.kind in kinds:
                found.setdefault(exhibit.act.id, exhibit)
        return list(found.values())

    def by_id(self, id_: str) -> list[Exhibit]:
        """Every copy of the act ``#``, whatever its signature's octets."""
        return [exhibit for exhibit in self.acts.values() if exhibit.act.id == id_]

    def names(self, *roles: str) -> set[str]:
        """All names under which signers of these roles appear."""
        return {name for e in self.acts.values() if e.part.role in roles for name in e.act.certificate.names}

    def fail(self, check: int, where: str, expected: object, found: object) -> None:
        """Note a failure."""
        self.findings.append(
            Finding(check=check, object=where, expected=_shown(expected), found=_shown(found))
        )

    def compare(self, check: int, where: str, expected: object, found: object) -> None:
        """Note a failure unless the two are equal."""
        if expected != found:
            self.fail(check, where, expected, found)


def lay_open(bundle: Bundle) -> Exhibits:
    """Read everything in ``bundle``; what cannot be read is left out and noted."""
    exhibits = Exhibits(bundle=bundle)
    for name, octets in bundle.of("certificate")[:MAX_CERTIFICATES]:
        try:
            exhibits.certificates.append(Certificate.read(octets))
        except Refusal as refusal:
            exhibits.fail(4, name, "a certificate", refusal.message)
    exhibits.crls = [octets for _, octets in bundle.of("crl")]
    for name, octets in bundle.of("act"):
        _top(exhibits, name, octets)
    for name, octets in bundle.of("opened"):
        _opened(exhibits, name, octets)
    for name, _ in bundle.of("ocsp"):
        exhibits.fail(6, name, "a CRL", "an OCSP answer, which this version does not judge")
    return exhibits


def _top(exhibits: Exhibits, name: str, octets: bytes) -> None:
    try:
        act = read_act(octets)
    except Refusal as refusal:
        _unread(exhibits, name, refusal)
        return
    label = name.rpartition("/")[2].partition("-")[2].removesuffix(".cms")
    if label != short(act.type):
        exhibits.fail(2, name, short(act.type), label)
    _take(exhibits, act, name)


def _take(exhibits: Exhibits, act: Act, place: str) -> Exhibit | None:
    """The exhibit of ``act``, read before or now, with all inside it."""
    held = exhibits.acts.get(act.octets)
    if held is not None:
        return held
    kind = short(act.type)
    if not act.type.startswith(PREFIX) or kind not in PARTS:
        exhibits.fail(6, place, "a known type", act.type)
        return None
    if len(exhibits.acts) >= MAX_EXHIBITS:
        exhibits.fail(4, place, f"at most {MAX_EXHIBITS} acts", "more")
        return None
    try:
        FORMS[act.type].check(act.document)
    except Refusal as refusal:
        where = refusal.facts.get("where") or "the document"
        exhibits.fail(6, place, f"{where}: {refusal.message}", "another value or member")
        return None
    inner = []
    for index in range(len(act.over)):
        try:
            one = _take(exhibits, found := act.inner(index), f"{place} > {short(found.type)}")
        except Refusal as refusal:
            _unread(exhibits, f"{place} > over[{index}]", refusal)
            one = None
        if one is not None:
            inner.append(one)
    exhibit = Exhibit(act=act, place=place, inner=tuple(inner), at=act.at)
    for one in inner:
        one.holders.append(exhibit)
    exhibits.acts[act.octets] = exhibit
    return exhibit


def _unread(exhibits: Exhibits, place: str, refusal: Refusal) -> None:
    """Note why an act cannot be read under the check that its rule belongs to."""
    checks = {"not-canonical": 5, "wrong-certificate": 8, "wrong-time": 8, "suite-unknown": 9}
    check = checks.get(refusal.rule, 4)
    expected = {4: "a strictly encoded act", 5: "a canonical document", 8: "the signer's own from and at"}
    exhibits.fail(check, place, expected.get(check, "a known suite"), f"{refusal.rule}: {refusal.message}")


def _opened(exhibits: Exhibits, name: str, octets: bytes) -> None:
    label = name.removeprefix("opened/").removesuffix(".json")
    try:
        document = wire.decode(octets)
    except Refusal as refusal:
        exhibits.fail(5, name, "a canonical document", refusal.message)
        return
    form = FORMS.get(PREFIX + label)
    try:
        if form is None:
            raise Refusal("wrong-label", "an instruction that a bundle may show")
        form.check(document)
    except Refusal as refusal:
        expected = f"{refusal.facts.get('where', 'type')}: {refusal.message}"
        exhibits.fail(6, name, expected, str(document.get("type"))[:64])
        return
    exhibits.opened[label] = document


def digests_of(exhibits: Iterable[Exhibit]) -> set[str]:
    """The ``#`` of each."""
    return {exhibit.act.id for exhibit in exhibits}


def key_of(exhibit: Exhibit) -> tuple[object, ...]:
    """The key of idempotency: signer, type, and the members that the table names."""
    values: list[object] = []
    for member in exhibit.part.key:
        first, _, rest = member.partition(".")
        document: Mapping[str, Any] = exhibit.document
        if rest:
            inner = exhibit.inner[0].document if exhibit.inner else {}
            document, first = inner, rest
        values.append(document.get(first))
    kind = "authres" if exhibit.kind == "authres-refused" else exhibit.kind
    return (exhibit.name, kind, *values)


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value if isinstance(value, str) else repr(value)

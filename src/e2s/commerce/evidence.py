"""What one side keeps of a trade, and the bundle that it makes of it: whole, off-line, without a database.

A bundle asserts nothing: its manifest only lists what is inside, so that a lost or added file shows;
what anybody committed to is read from the acts alone (protocol, section 7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.base.wire import Document, b64u
from e2s.commerce.archive import read_archive, write_archive
from e2s.crypto.acts import read_act
from e2s.crypto.certificates import Certificate
from e2s.crypto.suites import signature_suite_of

MANIFEST = "manifest.json"
MANIFEST_TYPE = "e2s/1/manifest"
MAX_ACTS = 99
#: Folder and ending of each role that a file may have.
ROLES: Mapping[str, tuple[str, str]] = MappingProxyType({
    "act": ("acts", "cms"),
    "stamp": ("stamps", "tst"),
    "opened": ("opened", "json"),
    "certificate": ("certs", "cer"),
    "crl": ("crls", "crl"),
    "ocsp": ("ocsp", "ors"),
})  # fmt: skip
#: What may be shown opened, by name of the file: an instruction's short name.
OPENED = ("OI", "PI", "SI", "LI")


@dataclass(frozen=True, kw_only=True)
class TradeRecord:
    """One party's keeping of one trade.

    ``acts``: (name, type, octets) in the order in which they came about, names for people only;
    ``stamps``: time-stamp tokens by the ``#`` of the act whose signature value they date; ``opened``:
    canonical octets of instructions that the holder may show, by their short name (``OI``; ``PI`` only
    by card-holder or issuer); ``suites``: left out, those of the acts; ``certificates`` and ``crls``: what
    the acts' and tokens' paths need besides what is inside them, CRLs of the time of signing.
    """

    trade: str
    party: str
    acts: Sequence[tuple[str, str, bytes]]
    stamps: Mapping[str, bytes] = field(default_factory=dict)
    opened: Mapping[str, bytes] = field(default_factory=dict)
    certificates: Sequence[Certificate] = ()
    crls: Sequence[bytes] = ()
    ocsp: Sequence[bytes] = ()
    suites: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle as read: the manifest's words and the files by name; nothing in it is proven yet."""

    trade: str
    party: str
    suites: tuple[str, ...]
    files: Mapping[str, bytes]
    roles: Mapping[str, str]

    def of(self, role: str) -> list[tuple[str, bytes]]:
        """Name and octets of each file of ``role``, in byte order of the names."""
        return [(name, octets) for name, octets in sorted(self.files.items()) if self.roles.get(name) == role]


def write_bundle(record: TradeRecord) -> bytes:
    """The bundle of ``record``; equal records give equal octets.

    Raises :class:`Misuse` ``bad-record`` when the record cannot be a trade's.
    """
    if len(record.acts) > MAX_ACTS or not set(record.opened) <= set(OPENED):
        raise Misuse("bad-record", "a trade has at most 99 acts, and shows only OI, PI, SI and LI")
    files = {
        f"acts/{n:02d}-{kind.rpartition('/')[2]}.cms": octets
        for n, (_, kind, octets) in enumerate(record.acts, 1)
    }
    files |= {f"stamps/{key.removeprefix('sha-256:')}.tst": token for key, token in record.stamps.items()}
    files |= {f"opened/{name}.json": octets for name, octets in record.opened.items()}
    files |= {f"certs/{b64u(held.digest)}.cer": held.der for held in record.certificates}
    files |= {f"crls/{b64u(sha256(crl).digest())}.crl": crl for crl in record.crls}
    files |= {f"ocsp/{b64u(sha256(answer).digest())}.ors": answer for answer in record.ocsp}
    suites = record.suites or suites_of([octets for _, _, octets in record.acts])
    return pack(files, trade=record.trade, party=record.party, suites=suites)


def pack(files: Mapping[str, bytes], *, trade: str, party: str, suites: Sequence[str]) -> bytes:
    """The bundle of ``files`` with the manifest that lists them."""
    manifest = {
        "type": MANIFEST_TYPE,
        "trade": trade,
        "party": party,
        "suites": sorted(set(suites)),
        "files": [
            {"name": name, "sha256": b64u(sha256(octets).digest()), "role": role_of(name)}
            for name, octets in sorted(files.items())
        ],
    }
    return write_archive([(MANIFEST, wire.encode(manifest)), *files.items()])


def role_of(name: str) -> str:
    """The role that a file's name says it has, or the empty string."""
    folder, _, rest = name.partition("/")
    ending = rest.rpartition(".")[2]
    return next((role for role, place in ROLES.items() if place == (folder, ending)), "")


def suites_of(acts: Sequence[bytes]) -> list[str]:
    """Names of the signature suites in ``acts`` and all acts inside them, sorted."""
    found: set[str] = set()
    waiting = list(acts)
    while waiting:
        act = read_act(waiting.pop())
        found.add(signature_suite_of(act.certificate.public_key).name)
        waiting += act.over
    return sorted(found)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What checks 1 to 3 find wrong with the container."""

    check: int
    object: str
    expected: str
    found: str


def open_bundle(octets: bytes) -> tuple[Bundle | None, list[Fault]]:
    """The bundle in ``octets`` and all faults of its container; no bundle where it cannot be read."""
    try:
        files = dict(read_archive(octets))
    except Refusal as refusal:
        where = refusal.facts.get("object") or f"octet {refusal.facts.get('offset', 0)}"
        fault = Fault(check=1, object=str(where), expected="a canonical archive", found=refusal.message)
        return None, [fault]
    if MANIFEST not in files:
        return None, [Fault(check=2, object=MANIFEST, expected="the first file", found="no manifest")]
    try:
        manifest = _manifest(files.pop(MANIFEST))
    except Refusal as refusal:
        return None, [Fault(check=2, object=MANIFEST, expected="a canonical manifest", found=refusal.message)]
    listed = {entry["name"]: entry for entry in manifest["files"]}
    faults = _listing(manifest["files"], files)
    for name, held in sorted(files.items()):
        digest = b64u(sha256(held).digest())
        if name in listed and listed[name]["sha256"] != digest:
            faults.append(Fault(check=3, object=name, expected=listed[name]["sha256"], found=digest))
        faults += _misnamed(name, digest)
    bundle = Bundle(
        trade=manifest["trade"],
        party=manifest["party"],
        suites=tuple(manifest["suites"]),
        files=MappingProxyType(files),
        roles=MappingProxyType({name: role_of(name) for name in files}),
    )
    return bundle, faults


def read_bundle(octets: bytes) -> Bundle:
    """The bundle in ``octets``; raises :class:`Refusal` ``bad-bundle`` for a fault of checks 1 to 3."""
    bundle, faults = open_bundle(octets)
    if bundle is None or faults:
        fault = faults[0]
        raise Refusal(
            "bad-bundle",
            "the bundle is not what its manifest lists",
            check=fault.check,
            object=fault.object,
            expected=fault.expected,
            found=fault.found,
        )
    return bundle


def _listing(entries: list[Document], files: Mapping[str, bytes]) -> list[Fault]:
    """Check 2: the manifest lists each file once, in order, with its role, and no other."""
    names = [entry["name"] for entry in entries]
    faults = [
        Fault(check=2, object=name, expected="no such file", found="a file that is not listed")
        for name in sorted(files.keys() - set(names))
    ]
    faults += [
        Fault(check=2, object=name, expected="the file listed", found="no such file")
        for name in sorted(set(names) - files.keys())
    ]
    if names != sorted(set(names)):
        fault = Fault(check=2, object=MANIFEST, expected="each name once, in order", found="another order")
        faults.append(fault)
    for entry in entries:
        role = role_of(entry["name"])
        if not role or entry["role"] != role:
            faults.append(
                Fault(check=2, object=entry["name"], expected=role or "a known role", found=entry["role"])
            )
    return faults


def _misnamed(name: str, digest: str) -> list[Fault]:
    """Check 3: certificates and revocation data are named by their digest, opened ones by their kind."""
    folder, _, rest = name.partition("/")
    stem = rest.rpartition(".")[0]
    if folder in {"certs", "crls", "ocsp"} and stem != digest:
        return [Fault(check=3, object=name, expected=digest, found=stem)]
    if folder == "opened" and stem not in OPENED:
        return [Fault(check=2, object=name, expected=" ".join(OPENED), found=stem)]
    return []


def _manifest(octets: bytes) -> Document:
    """The manifest, its members checked; raises :class:`Refusal`."""
    manifest = wire.decode(octets)
    texts = all(isinstance(manifest.get(member), str) for member in ("type", "trade", "party"))
    lists = all(isinstance(manifest.get(member), list) for member in ("suites", "files"))
    if not texts or not lists or len(manifest) != 5 or manifest["type"] != MANIFEST_TYPE:
        raise Refusal("bad-manifest", "the members are not those of a manifest")
    suites = manifest["suites"]
    if not all(isinstance(suite, str) for suite in suites) or suites != sorted(set(suites)):
        raise Refusal("bad-manifest", "the suites are not named each once, in order")
    for entry in manifest["files"]:
        if not isinstance(entry, dict) or set(entry) != {"name", "sha256", "role"}:
            raise Refusal("bad-manifest", "an entry has other members than name, sha256 and role")
        if not all(isinstance(value, str) for value in entry.values()):
            raise Refusal("bad-manifest", "an entry's members are text")
    return manifest

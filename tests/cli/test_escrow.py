"""``e2s escrow`` by command: what each says, what a dry run leaves undone, and how each mistake is told."""

from __future__ import annotations

import contextlib
import json
import secrets

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from e2s.base.instants import SystemClock
from e2s.cli.main import main
from e2s.crypto.keys import spki_of
from e2s.security.ceremonies.ceremony import Occasion, found_authority, found_root
from e2s.security.ceremonies.folder import Setting
from e2s.security.certificates.certify import read_request
from e2s.security.escrow.home import Edges, certified, found_home
from e2s.security.keys.container import Cost
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Entry, SoftwarePse
from e2s.security.pki.rights import RIGHTS
from tests.worlds.whole import CHEAP

URN = "urn:e2s:market:alpha:"
OFFICERS = {"pia": RIGHTS.policy, "paul": RIGHTS.policy, "rita": RIGHTS.open_case} | dict.fromkeys(
    ("kim", "kurt", "kyra"), RIGHTS.recover
)
TERMS = """
[conditions]
threshold = 2
alone = false
persons = 4
case-days = 30
[basis.accident]
hours = 0
notify = true
own = false
[basis.absence]
hours = 72
notify = true
own = false
[basis.lost-card]
hours = 0
notify = true
own = true
[minimum]
threshold = 2
spare = 1
persons = 4
hours = 0
own-hours = 0
quiet = []
jurisdictions = []
disjoint = false
"""


class Place:
    """A CA, a vault and its people in one folder; commands run in this process."""

    def __init__(self, folder):
        self.folder, self.governed = folder, False
        (folder / "phrase").write_text("correct horse")
        (folder / "phrase").chmod(0o600)
        rights = frozenset((URN + name, right, "ca") for name, right in OFFICERS.items())
        setting = Setting(clock=SystemClock(), random=secrets.token_bytes, cost=CHEAP)
        petra = URN + "petra"
        named = frozenset({(petra, right, at) for right in (RIGHTS.certify, RIGHTS.name) for at in ("root",)})
        root = found_root(
            folder / "root", phrase(), community="market", rights=named, setting=setting, officer=petra
        )
        given = rights | {(URN + "clara", RIGHTS.certify, "ca")}
        self.ca = found_authority(
            root, folder / "ca", phrase(), kind="operating-ca", name="urn:e2s:market:authority:ca", component="ca",
            officer=petra, authoriser=None, setting=setting, occasion=Occasion(rights=given),
        )  # fmt: skip
        for name in OFFICERS:
            self.person(name, "officer")
        self.person("lena", "person")
        self.person("anna", "person")
        self.key = generate("ecdh-p256-aes256gcm", secrets.token_bytes)
        self.vault(root)
        root.close()

    def person(self, name, kind):
        entries = {}
        for label, profile in (("sign", kind), ("agreement", f"{kind}-agreement")):
            key = generate("p256-sha256", secrets.token_bytes)
            own = self.ca.issue(profile, key.public_key(), [URN + name], officer=URN + "clara")
            entries[label] = Entry(private_key=key, certificate=own, chain=(self.ca.certificate,))
            octets = b"".join(one.pem for one in (own, self.ca.certificate))
            (self.folder / f"{name}.{label}.pem").write_bytes(octets)
            sealing = BestAvailableEncryption(b"correct horse")
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing)
            (self.folder / f"{name}.{label}.key").write_bytes(pem)
        path = self.folder / f"{name}.pse"
        SoftwarePse.create(path, phrase(), entries, cost=CHEAP, random=secrets.token_bytes).close()

    def vault(self, root):
        home = self.folder / "vault"
        edges = Edges(clock=SystemClock(), random=secrets.token_bytes, cost=CHEAP)
        name = URN + "escrow"
        octets = found_home(home, self.folder / "ca", phrase(), name, edges)
        own = self.ca.issue("component", read_request(octets), [name], officer=URN + "clara")
        certified(home, phrase(), (own, self.ca.certificate), edges)
        (home / "lists" / "ca.crl").write_bytes(self.ca.current_lists()[0].der)
        (home / "lists" / "root.crl").write_bytes(root.current_crl())
        (home / "policy.toml").write_text(TERMS)


def phrase() -> Phrase:
    return Phrase("correct horse")


class Commands:
    def __init__(self, place, capsys):
        self.place, self.capsys = place, capsys

    def __call__(self, line, *more, by="", status=0):
        """Run ``e2s escrow``; its output, read as JSON where it is that."""
        folder = self.place.folder
        self.capsys.readouterr()
        arguments = line.format(f=folder).split()
        if arguments[0] not in {"verify", "compare", "create"}:
            arguments += ["--home", str(folder / "vault"), "--vault-phrase-file", str(folder / "phrase")]
        if by:
            arguments += ["--pse", str(folder / f"{by}.pse"), "--phrase-file", str(folder / "phrase")]
        code = 0
        try:
            main(["escrow", *arguments, *more])
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = self.capsys.readouterr()
        assert code == status, out + err
        told = err if status and err else out
        with contextlib.suppress(ValueError):
            return json.loads(told)
        return told

    def open(self, *more, by="rita", basis="accident", to="lena"):
        line = (
            f"open --number 7 --basis {basis} --reason ill --recipient {{f}}/{to}.agreement.pem --json --yes"
        )
        return self(line, *(more or ("--holder", URN + "anna")), by=by)["case"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = Place(tmp_path_factory.mktemp("escrow"))
    yield made
    made.ca.close()


@pytest.fixture
def escrow(place, capsys):
    return Commands(place, capsys)


@pytest.fixture
def fresh(tmp_path, capsys):
    """A vault of a test's own, where nothing was done yet."""
    made = Place(tmp_path)
    yield Commands(made, capsys)
    made.ca.close()


@pytest.fixture
def kept(escrow):
    """With a policy in force, and anna's key kept."""
    return governed(escrow)


def governed(escrow):
    if not escrow.place.governed:
        escrow.place.governed = True
        keepers = " ".join(f"--keeper {{f}}/{name}.agreement.pem" for name in ("kim", "kurt", "kyra"))
        where = ("--jurisdiction", "Utopia", "--location", "Alpha")
        assert escrow(f"policy {keepers} --yes --json", *where, by="pia")["state"] == "proposed"
        assert escrow("policy --agree 1 --yes --json", by="paul")["state"] == "agreed"
    escrow("deposit --json", by="anna")
    return escrow


def test_without_a_policy_nothing_is_kept(fresh):
    escrow = fresh
    assert "no-policy" in escrow("deposit", by="anna", status=1)
    assert escrow("list --cases --json") == []
    assert escrow("policy --json", status=1)["rule"] == "no-policy"
    keeper = "--keeper {f}/kim.agreement.pem"
    assert "no-place" in escrow(f"policy {keeper} --yes", by="pia", status=2)
    where = ("--jurisdiction", "Utopia", "--location", "Alpha")
    assert "bad-policy" in escrow(f"policy {keeper} --yes", *where, by="pia", status=1)
    assert "what-for" in escrow(f"policy {keeper} --agree 1 --yes", *where, by="pia", status=2)
    assert "no-such-policy" in escrow("policy --agree 1 --yes", by="paul", status=1)
    assert "no-pse" in escrow(f"policy {keeper} --keeper {{f}}/kurt.agreement.pem --yes", *where, status=2)
    wrong = "--keeper {f}/kim.sign.pem --keeper {f}/kurt.sign.pem"
    assert "wrong-purpose" in escrow(f"policy {wrong} --yes", *where, by="pia", status=1)
    keepers = " ".join(f"--keeper {{f}}/{name}.agreement.pem" for name in ("kim", "kurt", "kyra"))
    shown = escrow(f"policy {keepers} --dry-run --json", *where, by="pia")
    assert (shown["threshold"], shown["version"], len(shown["officers"])) == (2, 1, 3)
    assert escrow("policy --json", status=1)["rule"] == "no-policy"


def test_what_is_kept_is_listed(kept):
    assert [one["holder"] for one in kept("list --json")] == [URN + "anna"]
    assert kept("list --holder urn:e2s:market:alpha:nobody --json") == []
    assert {one["officer"] for one in kept("list --officers --json")} == {
        URN + n for n in ("kim", "kurt", "kyra")
    }
    assert "in force" in kept("policy")


def test_a_dry_run_keeps_nothing(kept):
    (told,) = kept("deposit --dry-run --json", by="lena")
    assert "deposit" not in told
    assert len(kept("list --json")) == 1


def test_keys_from_files(kept):
    told = kept(
        "deposit --cert {f}/anna.agreement.pem --key {f}/anna.agreement.key --key-phrase-file {f}/phrase --json"
    )
    assert told[0]["deposit"].startswith("sha-256:")
    assert len(kept("list --json")) == 1
    sign = "deposit --cert {f}/anna.sign.pem --key {f}/anna.sign.key --key-phrase-file {f}/phrase"
    assert "signing-key" in kept(sign, status=1)
    other = "deposit --cert {f}/anna.agreement.pem --key {f}/lena.agreement.key --key-phrase-file {f}/phrase"
    assert "key-mismatch" in kept(other, status=2)
    assert "which-key" in kept("deposit --cert {f}/anna.sign.pem", status=2)


def test_a_case_from_its_opening_to_the_key(kept, place):
    case = kept.open()
    assert case in [one["case"] for one in kept("list --notices --json")]
    assert kept(f"approve {case} --dry-run --json", by="kim")["keys of"] == URN + "anna"
    assert kept("list --state open --json")[0]["case"] == case
    assert kept(f"approve {case} --yes --json", by="kim")["approvals"] == 1
    assert "too-few-officers" in kept(f"release {case}", status=1)
    assert "no-such-share" in kept(f"approve {case} --yes", by="rita", status=1)
    assert kept(f"approve {case} --yes --json", by="kurt")["approvals"] == 2
    assert "not-released" in kept(
        f"recover {case} --out {{f}}/early.pse --out-phrase-file {{f}}/phrase", by="lena", status=1
    )
    assert kept(f"release {case} --json")["state"] == "released"
    foreign = f"recover {case} --out {{f}}/rita-has.pse --out-phrase-file {{f}}/phrase"
    assert "no-opening-key" in kept(foreign, by="rita", status=2)
    told = kept(f"recover {case} --out {{f}}/again.pse --out-phrase-file {{f}}/phrase --json", by="lena")
    assert (told["state"], told["wrong"]) == ("received", [])
    pse = SoftwarePse.open(place.folder / "again.pse", phrase())
    assert pse.opener("recovered").certificate.names == (URN + "anna",)
    assert spki_of(pse.opener("recovered").certificate.public_key)
    pse.close()
    assert "already-received" in kept(
        f"recover {case} --out {{f}}/more.pse --out-phrase-file {{f}}/phrase", by="lena", status=1
    )
    assert not (place.folder / "more.pse").exists()
    assert kept(f"transcript {case} --out {{f}}/case.cms").startswith(str(place.folder / "case.cms"))
    found = kept("verify {f}/case.cms --trust {f}/root/root.pem --json")
    assert (found["state"], found["recipient"]) == ("received", URN + "lena")
    assert "good: case" in kept("verify {f}/case.cms --trust {f}/root/root.pem")
    kept("verify {f}/case.cms --trust {f}/kim.sign.pem", status=1)


def test_a_command_that_was_cut_short_goes_on(kept, place):
    """The file is there and nobody signed for it yet."""
    case = kept.open()
    for name in ("kim", "kyra"):
        kept(f"approve {case} --yes", by=name)
    kept(f"release {case}")
    again = f"recover {case} --out {{f}}/cut.pse --out-phrase-file {{f}}/phrase --json"
    before = SoftwarePse.open(place.folder / "anna.pse", phrase())
    entry = before.entries(phrase())["agreement"]
    before.close()
    there = place.folder / "cut.pse"
    SoftwarePse.create(there, phrase(), {"recovered": entry}, cost=CHEAP, random=secrets.token_bytes).close()
    before = (place.folder / "cut.pse").read_bytes()
    assert kept(again, by="lena")["state"] == "received"
    assert (place.folder / "cut.pse").read_bytes() == before


def test_the_owner_opens_a_case_about_her_card_and_gets_pkcs12(kept, place):
    from e2s.security.environments.pkcs12 import read

    certificate = ("--cert", str(place.folder / "anna.agreement.pem"))
    case = kept.open(*certificate, by="anna", basis="lost-card", to="anna")
    for name in ("kim", "kyra"):
        kept(f"approve {case} --yes", by=name)
    kept(f"release {case}")
    kept(f"recover {case} --out {{f}}/anna.p12 --out-phrase-file {{f}}/phrase", by="anna")
    entry = read((place.folder / "anna.p12").read_bytes(), phrase())
    assert entry.certificate.names == (URN + "anna",)


def test_cases_that_may_not_be(kept):
    line = "open --number 7 --basis {} --reason ill --recipient {{f}}/lena.agreement.pem --yes"
    holder = ("--holder", URN + "anna")
    assert "no-such-basis" in kept(line.format("curiosity"), *holder, by="rita", status=1)
    assert "not-authorised" in kept(line.format("accident"), *holder, by="kim", status=1)
    assert "wrong-path" in kept(line.format("accident"), *holder, by="anna", status=1)
    assert "no-such-deposit" in kept(line.format("accident"), "--holder", URN + "nobody", by="rita", status=1)
    assert "whose-key" in kept(line.format("accident"), by="rita", status=2)
    assert "no-such-case" in kept("release 99", status=1)
    before = len(kept("list --cases --json"))
    shown = kept(line.format("accident") + " --dry-run --json", *holder, by="rita")
    assert shown["recipient"] == URN + "lena"
    assert len(kept("list --cases --json")) == before


def test_a_stopped_case_is_over(kept):
    case = kept.open(basis="absence")
    assert kept(f"stop {case} --json", "--why", "I am back", by="anna")["state"] == "stopped"
    assert "out-of-order" in kept(f"approve {case} --yes", by="kim", status=1)


def test_a_rehearsal(kept):
    case = kept("rehearse --json", by="rita")["case"]
    assert "too-few-officers" in kept(f"rehearse {case}", by="rita", status=1)
    for name in ("kurt", "kyra"):
        kept(f"approve {case} --yes", by=name)
    assert "recovered by 2 officers" in kept(f"rehearse {case}", by="rita")


def test_two_policies_are_compared_and_signed(kept, place):
    kept("policy --out {f}/ours.json")
    compare = "compare {f}/ours.json {f}/ours.json --trust {f}/root/root.pem"
    told = kept(compare + " --json", status=1)
    assert not told["acceptable"]
    assert {one["rule"] for one in told["shortfalls"]} >= {"officers", "basis accident"}
    own = compare + " --home {f}/vault"
    assert "acceptable" in kept(own)
    assert "what-for" in kept(own + " --out {f}/word.cms", status=2)
    assert "signed as" in kept(own + " --out {f}/word.cms", by="pia")
    # here both sides are one: the second word is missing
    assert "no-agreement" in kept(own + " --agreement {f}/word.cms --agreement {f}/word.cms", status=1)


def test_shares_move_by_command(fresh):
    kept = governed(fresh)
    keepers = " ".join(f"--keeper {{f}}/{name}.agreement.pem" for name in ("kurt", "kyra"))
    kept(f"policy {keepers} --yes", "--jurisdiction", "Utopia", "--location", "Alpha", by="pia")
    kept("policy --agree 2 --yes", by="paul")
    assert "1 shares to be shared again" in kept("reshare --dry-run", by="kim")
    assert kept("reshare --json", by="kim")["shared"] == 1
    told = kept("reshare --json", by="kurt")
    assert (told["shared"], told["joined"]) == (1, 1)
    assert kept("reshare --json", by="kyra")["joined"] == 1
    case = kept.open()
    assert kept(f"approve {case} --yes --json", by="kurt")["approvals"] == 1
    assert kept(f"approve {case} --older --yes --json", by="kim")["approvals"] == 2
    assert "too-few-officers" in kept(f"release {case}", status=1)
    assert kept(f"approve {case} --yes --json", by="kyra")["approvals"] == 3
    assert kept(f"release {case} --json")["state"] == "released"


def test_a_home_is_made_once_and_brought_up_to_date(escrow, place):
    line = f"create {{f}}/vault --from {{f}}/ca --name {URN}escrow --vault-phrase-file {{f}}/phrase"
    assert "home-exists" in escrow(line, status=2)
    assert "what-for" in escrow("create {f}/other", status=2)
    assert "bad-name" in escrow(line.replace("vault ", "new ").replace(URN, "x:"), status=2)
    assert escrow("create {f}/vault --from {f}/ca --update --json")["records"] >= 2
    assert "no-home" in escrow("create {f}/none --from {f}/ca --update", status=2)
    wrong = "create {f}/vault --certificate {f}/kim.sign.pem --vault-phrase-file {f}/phrase"
    assert "other-name" in escrow(wrong, status=2)
    new = line.replace("/vault --from", "/new --from")
    assert "asks for the certificate" in escrow(new)
    assert "asks for the certificate" in escrow(new)
    with pytest.raises(AssertionError, match="not-certified"):
        escrow("list --json", "--home", str(place.folder / "new"))


def test_a_wrong_pass_phrase_opens_no_vault(escrow, place):
    (place.folder / "wrong").write_text("wrong")
    (place.folder / "wrong").chmod(0o600)
    wrong = ("--vault-phrase-file", str(place.folder / "wrong"))
    with pytest.raises(AssertionError, match="wrong-pass-phrase"):
        escrow("list", *wrong)
    assert Cost(memory_kib=8, passes=1) == CHEAP

"""A PSE file opens to its pass phrase alone; no bit of it can be changed, and reading it is bounded."""

from __future__ import annotations

import secrets
import stat
import tracemalloc

import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem, x448, x25519
from hypothesis import given
from hypothesis import strategies as st

from e2s.base import meter, wire
from e2s.base.errors import Misuse, Refusal
from e2s.crypto import oids
from e2s.crypto.cms.opening import open_sealed
from e2s.crypto.cms.sealing import seal
from e2s.crypto.suites import signature_suite_of
from e2s.security.keys import container
from e2s.security.keys.container import Cost
from e2s.security.keys.phrase import Phrase, phrase_from_file, phrase_from_prompt
from e2s.security.keys.software import Entry, SoftwarePse
from tests.worlds.crypto import new_party
from tests.worlds.pki import make_pki

CHEAP = Cost(memory_kib=8, passes=1)
PKI = make_pki()
NAME = "urn:e2s:market:acme:ada"


def entries():
    kinds = {"session": "buyer-session", "buyer": "buyer", "agreement": "buyer-agreement"}
    made = {}
    for label, kind in kinds.items():
        certificate, chain, key = PKI.issue(kind, NAME)
        made[label] = Entry(private_key=key, certificate=certificate, chain=chain)
    return made


ENTRIES = entries()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "ada.pse"


@pytest.fixture
def pse(path):
    return create(path)


def create(path, phrase="open sesame"):
    return SoftwarePse.create(path, Phrase(phrase), ENTRIES, cost=CHEAP, random=secrets.token_bytes)


def signs(signer, certificate):
    signature = signer.sign(b"a contract")
    key = certificate.public_key
    return signature_suite_of(key).verified(key, signature, b"a contract")


def test_opens_again_with_all_keys(path, pse):
    again = SoftwarePse.open(path, Phrase("open sesame"))
    assert again.labels() == ("session", "buyer", "agreement")
    assert again.certificate("buyer") == ENTRIES["buyer"].certificate
    assert again.chain("buyer") == (PKI.operating,)
    assert signs(again.signer("session"), again.certificate("session"))
    sealed = seal(b"hello", oids.DATA, [again.certificate("agreement")], secrets.token_bytes)
    assert open_sealed(sealed, again.opener("agreement"))[1] == b"hello"


@pytest.mark.parametrize("key", [x25519.X25519PrivateKey, x448.X448PrivateKey, mlkem.MLKEM1024PrivateKey])
def test_keys_of_every_kind_open(path, key):
    one = new_party("ada", key.generate())
    entry = Entry(private_key=one.key, certificate=one.certificate)
    phrase = Phrase("open sesame")
    SoftwarePse.create(path, phrase, {"agreement": entry}, cost=CHEAP, random=secrets.token_bytes)
    again = SoftwarePse.open(path, Phrase("open sesame"))
    sealed = seal(b"hello", oids.DATA, [again.certificate("agreement")], secrets.token_bytes)
    assert open_sealed(sealed, again.opener("agreement")) == (oids.DATA, b"hello")


def test_file_is_the_owners_alone(path, pse):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_file_shows_no_key_and_no_name(path, pse):
    octets = path.read_bytes()
    assert b"urn:e2s" not in octets
    for entry in ENTRIES.values():
        assert entry.certificate.spki[-64:] not in octets


def test_never_overwrites_keys(path, pse):
    with pytest.raises(Misuse, match="pse-exists"):
        create(path)


def test_key_and_certificate_belong_together():
    other = ENTRIES["buyer"].certificate
    with pytest.raises(Misuse, match="key-mismatch"):
        Entry(private_key=ENTRIES["session"].private_key, certificate=other)


def test_fresh_key_asks_at_each_signature(pse):
    with pytest.raises(Refusal, match="pass-phrase-needed"):
        pse.signer("buyer")
    with meter.measured() as spent:
        signer = pse.signer("buyer", Phrase("open sesame"))
        assert signs(signer, pse.certificate("buyer"))
    assert spent["stretch"] == 1
    with pytest.raises(Refusal, match="pass-phrase-needed"):
        signer.sign(b"another contract")


def test_opening_costs_one_derivation_and_a_session_key_none(path, pse):
    with meter.measured() as spent:
        again = SoftwarePse.open(path, Phrase("open sesame"))
        again.signer("session").sign(b"x")
        again.signer("session").sign(b"y")
    assert spent["stretch"] == 1


def test_fresh_key_is_not_in_memory_in_clear(pse):
    assert pse._cards["buyer"].key is None
    with pytest.raises(Refusal, match="wrong-key-use"):
        pse.opener("buyer")


def test_wrong_phrase(path, pse):
    with pytest.raises(Refusal, match="wrong-pass-phrase"):
        SoftwarePse.open(path, Phrase("open barley"))
    with pytest.raises(Refusal, match="wrong-pass-phrase"):
        pse.signer("buyer", Phrase("open barley"))


def test_change_of_phrase(path, pse):
    pse.change_phrase(Phrase("open sesame"), Phrase("new words"), random=secrets.token_bytes)
    with pytest.raises(Refusal, match="wrong-pass-phrase"):
        SoftwarePse.open(path, Phrase("open sesame"))
    again = SoftwarePse.open(path, Phrase("new words"))
    for one in (pse, again):
        assert signs(one.signer("buyer", Phrase("new words")), one.certificate("buyer"))


def test_change_of_phrase_needs_the_old_one(path, pse):
    before = path.read_bytes()
    with pytest.raises(Refusal, match="wrong-pass-phrase"):
        pse.change_phrase(Phrase("guess"), Phrase("mine"), random=secrets.token_bytes)
    assert path.read_bytes() == before


def test_new_certificate_for_the_same_key(path, pse):
    newer, chain, _ = PKI.issue("buyer", NAME, private_key=ENTRIES["buyer"].private_key)
    pse.set_certificate("buyer", newer, chain, Phrase("open sesame"), random=secrets.token_bytes)
    again = SoftwarePse.open(path, Phrase("open sesame"))
    assert again.certificate("buyer") == newer
    assert signs(again.signer("buyer", Phrase("open sesame")), newer)


def test_closed_pse_refuses(pse):
    pse.close()
    with pytest.raises(Refusal, match="pse-closed"):
        pse.signer("session")


def test_unknown_label(pse):
    with pytest.raises(Refusal, match="no-such-key"):
        pse.signer("manager")


def test_failed_write_leaves_the_old_file(path, pse, monkeypatch):
    before = path.read_bytes()

    def full(_handle):
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        pse.change_phrase(Phrase("open sesame"), Phrase("new words"), random=secrets.token_bytes)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


SEALED = container.seal(
    {"": b"directory" * 9, "buyer": b"private key"}, Phrase("p"), cost=CHEAP, random=secrets.token_bytes
)


def opened(octets, phrase="p"):
    read = container.read(octets)
    keys = read.unlock(Phrase(phrase))
    return {label: read.open(keys, label) for label in read.sections}


def test_every_bit_is_authenticated():
    assert opened(SEALED)["buyer"] == b"private key"
    for i in range(len(SEALED) * 8):
        bent = bytearray(SEALED)
        bent[i // 8] ^= 1 << (i % 8)
        with pytest.raises(Refusal):
            opened(bytes(bent))


def test_every_truncation_and_addition_is_refused():
    for i in range(len(SEALED)):
        with pytest.raises(Refusal):
            opened(SEALED[:i])
    with pytest.raises(Refusal, match="bad-pse"):
        opened(SEALED + b"\0")


def test_sections_cannot_change_places():
    two = container.seal({"a": b"x" * 8, "b": b"y" * 8}, Phrase("p"), cost=CHEAP, random=secrets.token_bytes)
    swapped = two[:-48] + two[-24:] + two[-48:-24]
    with pytest.raises(Refusal, match="altered-pse"):
        opened(swapped)


def with_header(**changes):
    size = int.from_bytes(SEALED[8:12], "big")
    header = wire.decode(SEALED[12 : 12 + size]) | changes
    octets = wire.encode(header)
    return SEALED[:8] + wire.len4(octets) + SEALED[12 + size :]


@pytest.mark.parametrize(
    "changes",
    [
        {"memory": 4 * 1024 * 1024},
        {"memory": 32 * 1024 + 1},
        {"memory": 0},
        {"memory": -5},
        {"passes": 2**40},
        {"passes": 0},
        {"kdf": "none"},
        {"kdf": "scrypt", "memory": 48 * 1024},
    ],
)
def test_derivation_bomb(changes):
    tracemalloc.start()
    try:
        with meter.measured() as spent, pytest.raises(Refusal, match="kdf-bounds"):
            opened(with_header(**changes))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert spent["stretch"] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"memory": True},
        {"memory": "19456"},
        {"salt": "AA"},
        {"salt": 7},
        {"cipher": "none"},
        {"sections": {}},
        {"sections": [{"label": "x", "nonce": "AAAAAAAAAAAAAAAA", "size": 10**9}]},
        {"sections": [{"label": "x", "nonce": "AAAAAAAAAAAAAAAA", "size": 16}] * 40},
        {"sections": ["x"]},
        {"extra": 1},
    ],
)
def test_strange_header(changes):
    with pytest.raises(Refusal):
        opened(with_header(**changes))


@given(st.binary(max_size=400))
def test_garbage_is_refused(octets):
    with pytest.raises(Refusal):
        opened(octets)
    with pytest.raises(Refusal):
        opened(container.MAGIC + octets)


@given(st.integers(0, len(SEALED) - 1), st.integers(0, 40), st.binary(max_size=40))
def test_mutations_are_refused(start, length, instead):
    bent = SEALED[:start] + instead + SEALED[start + length :]
    if bent != SEALED:
        with pytest.raises(Refusal):
            opened(bent)


LABELS = st.text("abcdefghij-", max_size=10)


@given(st.dictionaries(LABELS, st.binary(max_size=60), max_size=5), st.text(min_size=1, max_size=30))
def test_round_trip(sections, words):
    sealed = container.seal(sections, Phrase(words), cost=CHEAP, random=secrets.token_bytes)
    assert opened(sealed, words) == sections


def test_scrypt_where_argon2_is_missing():
    cost = Cost(kdf="scrypt", memory_kib=16, passes=1)
    sealed = container.seal({"a": b"x"}, Phrase("p"), cost=cost, random=secrets.token_bytes)
    assert opened(sealed) == {"a": b"x"}


def test_production_cost_is_what_owasp_asks():
    cost = container.production_cost()
    assert (cost.kdf, cost.memory_kib, cost.passes) in {("argon2id", 19456, 2), ("scrypt", 16384, 1)}


def test_phrase_file(tmp_path):
    file = tmp_path / "pin"
    file.write_bytes("gr\u00fcn\n".encode())
    file.chmod(0o600)
    assert phrase_from_file(file).octets == "gr\u00fcn".encode()
    file.chmod(0o640)
    with pytest.raises(Refusal, match="phrase-file-exposed"):
        phrase_from_file(file)
    with pytest.raises(Misuse, match="no-phrase-file"):
        phrase_from_file(tmp_path / "none")


@pytest.mark.parametrize("octets", [b"", b"\n", b"x" * 2000, b"\xff\xfe"])
def test_bad_phrase_file(tmp_path, octets):
    file = tmp_path / "pin"
    file.write_bytes(octets)
    file.chmod(0o600)
    with pytest.raises(Refusal, match="bad-pass-phrase"):
        phrase_from_file(file)


def test_phrase_is_normalised_hidden_and_wiped():
    phrase = phrase_from_prompt(ask=lambda _prompt: "gru\u0308n")
    assert phrase.octets == "gr\u00fcn".encode()
    assert "gr" not in repr(phrase) + str(phrase)
    phrase.wipe()
    with pytest.raises(Misuse, match="phrase-wiped"):
        _ = phrase.octets

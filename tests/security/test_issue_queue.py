"""Orders of many threads share commits; each gets its own answer; possession is proven in a second process."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2s.base import meter
from e2s.base.errors import Refusal, Unreachable
from e2s.security.certificates.certify import request
from e2s.security.keys.generation import generate
from e2s.security.pki import issuing, store
from e2s.security.pki.orders import Order
from e2s.security.pki.proving import LEAST, Prover
from e2s.security.pki.queue import IssueQueue
from tests.security.test_ca_lists import OFFICER, World


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.start()
    yield made
    made.authority.close()


def order(number=0, **more):
    name = f"urn:e2s:market:volt:person-{number}"
    key = request(generate("p256-sha256", secrets.token_bytes), (name,))
    return Order(**{"profile": "buyer", "key": key, "names": (name,), "officer": OFFICER} | more)


@pytest.fixture
def queue(world):
    with IssueQueue(world.authority) as made:
        yield made


def test_each_thread_gets_its_own(queue):
    orders = [order(number) for number in range(64)]
    with meter.measured() as spent, ThreadPoolExecutor(32) as pool:
        made = list(pool.map(queue.issue, orders))
    assert [one.name for one in made] == [one.names[0] for one in orders]
    assert spent["sign"] == 64
    assert spent["commit"] < 64


def test_alone_waits_for_nobody(queue):
    for number in range(3):
        with meter.measured() as spent:
            queue.issue(order(number))
        assert spent["commit"] == 2


def test_refused_spares_its_neighbours(queue):
    orders = [order(0), order(1, profile="no-such"), order(2, officer="urn:e2s:market:eve"), order(3)]
    orders += [order(4, names=("urn:e2s:elsewhere:x",)), order(5, key=b"garbage"), order(6, names=("a b",))]
    results = queue.issue_ders(orders)
    rules = [one.rule if not isinstance(one, bytes) else "" for one in results]
    assert rules[:6] == ["", "no-such-profile", "not-authorised", "", "foreign-name", "bad-request"]
    assert rules[6]
    with pytest.raises(Refusal, match="not-authorised"):
        queue.issue(orders[2])


def test_one_key_for_two_uses_in_one_group(world):
    key = generate("p256-sha256", secrets.token_bytes).public_key()
    orders = [order(0, key=key), order(1, key=key, profile="buyer-agreement"), order(2, key=key)]
    one, two, three = world.authority.issue_all(orders)
    assert (one.public_key, two.rule, three.public_key) == (key, "key-reused", key)


def test_one_approval_twice_in_one_group(world):
    world.authority.authoriser = type(world.authority.authoriser)(frozenset({(OFFICER, "ra.register", "ca")}))
    asked = order(approval=bytes(32))
    one, two = world.authority.issue_all([asked, asked])
    assert two.rule == "being-issued"
    assert world.authority.issue_all([asked]) == [one]


def test_what_stops_a_group_is_told_to_all_and_the_next_goes_on(world, queue, monkeypatch):
    def full(*_args):
        raise Unreachable("disk-full", "there is no room")

    with monkeypatch.context() as patched:
        patched.setattr(issuing, "_record", full)
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(queue.issue, order(number)) for number in range(4)]
        errors = [one.exception() for one in waiting]
    assert [getattr(error, "rule", "") for error in errors] == ["disk-full"] * 4
    made = queue.issue(order(9))
    revoked = world.lists()[None, False].revoked
    assert 1 <= len(revoked) <= 4  # those that had been noted
    assert made.serial not in revoked


class Failing:
    """A signer whose key is lost for a moment: a token that was drawn."""

    def __init__(self, signer, error):
        self.signer, self.error = signer, error
        self.certificate, self.chain, self.suite = signer.certificate, signer.chain, signer.suite

    def sign(self, data):
        if self.error is not None:
            raise self.error
        return self.signer.sign(data)


def test_key_that_cannot_be_reached_leaves_nothing_behind(world):
    ca = world.authority
    ca._signer = failing = Failing(ca.signer, Unreachable("token-gone", "the token was drawn"))
    results = ca.issue_all([order(0), order(1, key=b"garbage"), order(2)])
    assert [one.rule for one in results] == ["token-gone", "bad-request", "token-gone"]
    failing.error = None
    made = ca.issue_all([order(3)])
    with ca.database.reading() as connection:
        assert store.intents(connection) == []
    assert not world.lists()[None, False].revoked
    assert [change.der for change in ca.changes(0)] == [made[0].der]


def test_what_may_have_been_signed_is_void(world):
    ca = world.authority
    ca._signer = failing = Failing(ca.signer, RuntimeError("what was not foreseen"))
    with pytest.raises(RuntimeError, match="not foreseen"):
        ca.issue_all([order(0)])
    failing.error = None
    ca.issue_all([order(1)])
    (entry,) = world.lists()[None, False].revoked.values()
    assert entry.reason == issuing.VOID


def test_closed_authority_notes_nothing(world):
    ca = world.authority
    ca._signer = None
    with pytest.raises(Refusal, match="ca-closed"):
        ca.issue_all([order()])
    with ca.database.reading() as connection:
        assert store.intents(connection) == []


def test_close_carries_out_what_waits(world):
    queue = IssueQueue(world.authority)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(queue.issue, order(number)) for number in range(8)]
        started = threading.Event()
        waiting[0].add_done_callback(lambda _done: started.set())
        started.wait(10)
        queue.close()
        errors = [one.exception() for one in waiting]
    assert errors[0] is None
    assert {getattr(error, "rule", "") for error in errors if error} <= {"queue-closed"}
    with pytest.raises(Refusal, match="queue-closed"):
        queue.issue(order())


@pytest.fixture
def prover():
    made = Prover()
    yield made
    made.close()


@pytest.mark.parametrize("count", [1, LEAST - 1, LEAST, 33])
def test_possession_is_proven_beside(prover, count):
    keys = [generate("p256-sha256", secrets.token_bytes) for _ in range(count)]
    requests = [request(key, ("urn:e2s:market:x",)) for key in keys]
    for place in range(0, count, 4):
        requests[place] = requests[place][:-1] + bytes((requests[place][-1] ^ 1,))
    requests[-1] = b"garbage" if count > 1 else requests[-1]
    for _ in range(2):
        read = prover(requests)
        for place, (key, one) in enumerate(zip(keys, read, strict=True)):
            if isinstance(one, Refusal):
                assert place % 4 == 0 or place == count - 1
                assert one.rule in {"bad-request", "no-possession"}
            else:
                assert one.key == key.public_key()


def test_prover_that_dies_is_replaced(prover):
    requests = [order(number).key for number in range(16)]
    assert not any(isinstance(one, Refusal) for one in prover(requests))
    first = prover.pid
    os.kill(first, signal.SIGKILL)
    for _ in range(3):
        assert not any(isinstance(one, Refusal) for one in prover(requests))
    assert prover.pid not in {0, first}


def test_authority_with_a_prover(world, prover):
    world.start(prove=prover)
    orders = [order(number) for number in range(20)]
    orders[3] = order(3, key=b"garbage")
    results = world.authority.issue_all(orders)
    assert [place for place, one in enumerate(results) if isinstance(one, Refusal)] == [3]
    assert results[7].name == orders[7].names[0]


@pytest.mark.parametrize("dies", [False, True])
def test_forged_request_among_many_gets_nothing(world, prover, dies):
    world.start(prove=prover)
    world.authority.issue_all([order(number) for number in range(LEAST)])
    orders = [order(number) for number in range(20)]
    whole, forged = orders[5].key, bytearray(orders[5].key)
    forged[-1] ^= 1
    orders[5] = order(5, key=bytes(forged), profile="manager")
    if dies:
        os.kill(prover.pid, signal.SIGKILL)
    results = world.authority.issue_all(orders)
    assert [(place, one.rule) for place, one in enumerate(results) if isinstance(one, Refusal)] == [
        (5, "no-possession")
    ]
    assert not world.lists()[None, False].revoked
    # the key is its holder's as before
    (made,) = world.authority.issue_all([order(5, key=whole)])
    assert made.name == orders[5].names[0]

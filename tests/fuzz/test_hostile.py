"""What is written to cost its reader the most is refused; how quickly, ``make bench AREA=hostile`` measures."""

from __future__ import annotations

import pytest

from bench.hostile import CASES, refused

#: Of the processor, far above the figure: what is found here is work that grows with the square, or worse.
ENDLESS_MS = 2_000

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", CASES)
def test_hostile_input_is_refused_without_endless_work(name):
    octets, *readers = CASES[name]()
    for reader in readers:
        assert refused(name, reader, octets) < ENDLESS_MS, reader

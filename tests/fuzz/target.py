"""What a fuzzing target promises: of any octets, a value or a refusal by its rule, within time and memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from e2s.base.errors import Misuse, Refusal
from tests.fuzz.shapes import bent

#: How an input of a target is altered so that its form stays good: ``mutate(octets, random)``.
Mutate = Callable[[bytes, Random], bytes]
_KIB = 1024


class Broken(AssertionError):
    """A decoder took too long, too much memory, or broke a promise that it makes of its values."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One decoder.

    ``read`` may return anything or raise ``Refusal`` or ``Misuse``; ``seeds`` are good inputs made when it is
    called; ``most`` is the longest input that is tried; ``seconds`` (of the processor) and ``mib`` bound one
    input.
    """

    name: str
    read: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]
    mutate: Mutate = bent
    most: int = 16 * 1024
    seconds: float = 1.0
    mib: int = 64
    #: How many altered inputs the short form tries.
    short: int = 120

    def tried(self, octets: bytes) -> str:
        """The rule that refuses ``octets``, or the empty string; raises anything else as a finding."""
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begin = time.process_time()
        try:
            self.read(octets)
            rule = ""
        except (Refusal, Misuse) as refusal:
            rule = refusal.rule
            if not rule or len(str(refusal)) > 4000:
                raise Broken("a refusal without a rule, or one that is a flood itself") from refusal
        spent = time.process_time() - begin
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) // _KIB
        if spent > self.seconds:
            raise Broken(f"{self.name}: {len(octets)} octets took {spent:.2f} s")
        if grown > self.mib:
            raise Broken(f"{self.name}: {len(octets)} octets took {grown} MiB")
        return rule


def promised(fact: object, sentence: str) -> None:
    """Raise :class:`Broken` unless ``fact`` holds."""
    if not fact:
        raise Broken(sentence)

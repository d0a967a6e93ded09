"""Messages as terms, and an intruder who owns the network: what he can take apart, and what he can put together.

A term is an atom ``("a", kind, name)``, a hole ``("?", name, kind)`` in a pattern, or an operation on terms:
``doc`` (label, members), ``sig`` (signer, content: readable), ``env`` (recipient, content), ``rec`` (key,
content), ``hash``, ``pub`` (a key share) and ``key`` (agreed from two shares under a transcript).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

Term: TypeAlias = tuple[Any, ...]
Binding: TypeAlias = dict[str, Term]


def atom(kind: str, name: str) -> Term:
    return ("a", kind, name)


def hole(name: str, kind: str) -> Term:
    return ("?", name, kind)


def doc(label: str, *members: Term) -> Term:
    return ("doc", atom("label", label), *members)


def sig(signer: Term, content: Term) -> Term:
    return ("sig", signer, content)


def env(recipient: Term, content: Term) -> Term:
    return ("env", recipient, content)


def rec(key: Term, content: Term) -> Term:
    return ("rec", key, content)


def digest(content: Term) -> Term:
    return ("hash", content)


def pub(secret: Term) -> Term:
    return ("pub", secret)


def key(one: Term, other: Term, transcript: Term, way: str) -> Term:
    first, second = sorted((one, other))
    return ("key", first, second, transcript, atom("label", way))


#: The kinds of atoms that sign and open.
AGENTS = ("buyer", "merchant", "gateway", "issuer")
NOTHING = atom("label", "-")


def put(pattern: Term, binding: Binding) -> Term:
    """The pattern with its holes filled from ``binding``."""
    op = pattern[0]
    if op == "?":
        return binding.get(pattern[1], pattern)
    if op == "a":
        return pattern
    filled = (op, *(put(part, binding) for part in pattern[1:]))
    return ("key", *sorted(filled[1:3]), *filled[3:]) if op == "key" else filled


@lru_cache(maxsize=500_000)
def whole(term: Term) -> bool:
    """Whether no hole is left."""
    return term[0] == "a" or (term[0] != "?" and all(whole(part) for part in term[1:]))


@lru_cache(maxsize=500_000)
def kind(term: Term) -> str:
    """An atom's kind; ``hash of L`` for the digest of a document labelled L; otherwise the operation."""
    if term[0] == "a":
        return str(term[1])
    if term[0] == "hash" and term[1][0] == "doc":
        return f"hash of {term[1][1][2]}"
    return str(term[0])


@lru_cache(maxsize=500_000)
def holds(term: Term, part: Term) -> bool:
    """Whether ``part`` lies anywhere in ``term``."""
    return term == part or (term[0] not in "a?" and any(holds(one, part) for one in term[1:]))


def match(pattern: Term, term: Term, binding: Binding) -> Binding | None:
    """The binding extended so that the pattern is the term, or None."""
    if pattern[0] == "?":
        held = binding.get(pattern[1])
        if held is not None:
            return binding if held == term else None
        return {**binding, pattern[1]: term} if kind(term) == pattern[2] else None
    if pattern[0] == "a":
        return binding if pattern == term else None
    if pattern[0] != term[0] or len(pattern) != len(term):
        return None
    for one, other in zip(pattern[1:], term[1:], strict=True):
        found = match(one, other, binding)
        if found is None:
            return None
        binding = found
    return binding


class Intruder:
    """What the intruder knows, taken apart as far as it goes; a value: :meth:`hear` gives another one."""

    def __init__(self, known: frozenset[Term]) -> None:
        self.known = known
        self._can: dict[Term, bool] = {}
        self._by: dict[str, list[Term]] = {}
        for term in sorted(known):
            self._by.setdefault(term[0], []).append(term)

    def can(self, term: Term) -> bool:
        """Whether he can make the (whole) term."""
        if term in self.known:
            return True
        held = self._can.get(term)
        if held is None:
            held = self._can[term] = self._make(term)
        return held

    def _make(self, term: Term) -> bool:
        op = term[0]
        if op == "a":
            return False
        if op == "sig":
            return self.owns(term[1]) and self.can(term[2])
        if op == "env":
            return self.can(term[2])
        if op == "key":
            one, other, transcript = term[1:4]
            mine = (self._secret(one) and self.can(other)) or (self._secret(other) and self.can(one))
            return bool(mine) and self.can(transcript)
        return all(self.can(part) for part in term[1:])

    def _secret(self, share: Term) -> bool:
        return share[0] == "pub" and share[1] in self.known

    def owns(self, agent: Term) -> bool:
        """Whether the agent is the intruder's own: he holds the private keys."""
        return ("a", "private", agent[2]) in self.known

    def hear(self, *terms: Term) -> Intruder:
        """Himself after these terms passed by."""
        todo = [term for term in terms if term not in self.known]
        if not todo:
            return self
        known, shut = set(self.known), [t for t in self.known if t[0] in {"env", "rec"}]
        while todo:
            term = todo.pop()
            if term not in known:
                known.add(term)
                todo += {"doc": term[1:], "sig": term[2:]}.get(term[0], ())
                if term[0] in {"env", "rec"}:
                    shut.append(term)
            if not todo:
                now = Intruder(frozenset(known))
                todo = [
                    t[2]
                    for t in shut
                    if t[2] not in known and (now.owns(t[1]) if t[0] == "env" else now.can(t[1]))
                ]
        return Intruder(frozenset(known))

    def offers(self, pattern: Term, binding: Binding) -> Iterator[Binding]:
        """Every way in which he can fill the pattern's holes with a message that he can send."""
        pattern = put(pattern, binding)
        if whole(pattern):
            if self.can(pattern):
                yield binding
            return
        if pattern[0] == "?":
            for term in self.known:
                if kind(term) == pattern[2]:
                    yield {**binding, pattern[1]: term}
            return
        seen: set[frozenset[tuple[str, Term]]] = set()
        for found in self._ways(pattern, binding):
            mark = frozenset(found.items())
            if mark not in seen:
                seen.add(mark)
                yield found

    def _ways(self, pattern: Term, binding: Binding) -> Iterator[Binding]:
        for term in self._by.get(pattern[0], ()):
            found = match(pattern, term, binding)
            if found is not None:
                yield found
        if pattern[0] == "sig":
            for agent in self._by["a"]:
                if agent[1] not in AGENTS or not self.owns(agent):
                    continue
                named = match(pattern[1], agent, binding)
                if named is not None:
                    yield from self.offers(pattern[2], named)
        elif pattern[0] in {"doc", "env", "rec", "hash", "pub"}:
            yield from self._each(pattern[1:], binding)

    def _each(self, parts: tuple[Term, ...], binding: Binding) -> Iterator[Binding]:
        if not parts:
            yield binding
            return
        for found in self.offers(parts[0], binding):
            yield from self._each(parts[1:], found)

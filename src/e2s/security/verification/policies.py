"""Which policies a whole path is valid for: the graph of RFC 9618, which grows with the path and no faster.

Each certificate adds one row of nodes; a node's parents are the policies of the row above that expect it.
So equal policies are one node however many mappings lead to them (RFC 5280, 6.1 as updated by RFC 9618, 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from e2s.security.verification.notices import NO_NOTICES, Notice

ANY = "2.5.29.32.0"


@dataclass(eq=False)
class _Node:
    """One valid policy at one depth; nodes are compared by identity."""

    policy: str
    expected: set[str]
    parents: set[_Node] = field(default_factory=set)
    children: set[_Node] = field(default_factory=set)
    notices: tuple[Notice, ...] = ()


class PolicyGraph:
    """The rows of nodes from the anchor down; empty once no policy is valid any more."""

    def __init__(self) -> None:
        """The anchor's row: any policy."""
        self._rows: list[dict[str, _Node]] = [{ANY: _Node(ANY, {ANY})}]
        #: Policies that any policy at the end stands for, and what is to be said of them.
        self._granted: tuple[frozenset[str], tuple[Notice, ...]] = (frozenset(), ())

    def __bool__(self) -> bool:
        """Whether some policy is still valid."""
        return bool(self._rows)

    def add(
        self,
        asserted: Iterable[str],
        *,
        any_allowed: bool,
        notices: Mapping[str, tuple[Notice, ...]] = NO_NOTICES,
    ) -> None:
        """The row of one certificate that asserts these policies, some with ``notices`` (6.1.3 d)."""
        if not self:
            return
        above, row = self._rows[-1], dict[str, _Node]()
        named = set(asserted)
        expecting: dict[str, list[_Node]] = {}
        for node in above.values():
            for policy in node.expected:
                expecting.setdefault(policy, []).append(node)
        for policy in sorted(named - {ANY}):
            parents = expecting.get(policy, ())
            if not parents and ANY in above:
                parents = [above[ANY]]
            self._put(row, policy, parents, notices.get(policy, ()))
        if ANY in named and any_allowed:
            said = notices.get(ANY, ())
            for policy in sorted(expecting.keys() - row.keys()):
                self._put(row, policy, expecting[policy], said)
        self._rows.append(row)
        self._prune()

    def forget(self) -> None:
        """No policy is valid any more (6.1.3 e)."""
        self._rows = []

    def map(self, mappings: Iterable[tuple[str, str]], *, allowed: bool) -> None:
        """The last certificate says that its policies are others below it (6.1.4 b)."""
        if not self:
            return
        targets: dict[str, set[str]] = {}
        for theirs, ours in mappings:
            targets.setdefault(theirs, set()).add(ours)
        row = self._rows[-1]
        for policy, expected in targets.items():
            if not allowed:
                self._drop(row, policy)
            elif policy in row:
                row[policy].expected = expected
            elif ANY in row:
                self._put(row, policy, row[ANY].parents, row[ANY].notices)
                row[policy].expected = expected
        self._prune()

    def within(self, acceptable: frozenset[str]) -> frozenset[str]:
        """The valid policies that are acceptable to the user, in the anchor's terms (6.1.5 g).

        ``acceptable`` with :data:`ANY` takes all; makes the graph smaller otherwise.  Empty means none.
        """
        if not self:
            return frozenset()
        valid = frozenset(node.policy for node in self._authorised())
        if ANY in acceptable:
            return valid
        granted: frozenset[str] = frozenset()
        if ANY in self._rows[-1]:
            # 6.1.5 (g iii 3): any policy at the end is each acceptable one that is not named yet
            granted = acceptable - valid
            self._granted = granted, self._rows[-1][ANY].notices
            self._drop(self._rows[-1], ANY)
        for depth, row in enumerate(self._rows):
            for policy, node in list(row.items()):
                if depth and policy not in acceptable and policy != ANY and self._is_authorised(node):
                    self._cut(depth, node)
        self._prune()
        return (frozenset(node.policy for node in self._authorised()) & acceptable) | granted

    def notices(self) -> tuple[Notice, ...]:
        """What is to be said of the policies left, from the anchor down, each in the anchor's terms.

        After :meth:`within`: notices of policies that are not acceptable to the user are not among them.
        """
        found: dict[Notice, None] = {}
        meant: dict[_Node, frozenset[str]] = {}
        for row in self._rows[1:]:
            for policy in sorted(row):
                node = row[policy]
                above = (meant.get(parent, frozenset()) for parent in node.parents)
                own = {policy} if self._is_authorised(node) else frozenset[str]()
                meant[node] = frozenset(own).union(*above) - {ANY} or frozenset({ANY})
                for said in node.notices:
                    found.update((said._replace(policy=one), None) for one in sorted(meant[node]))
        granted, notices = self._granted
        found.update((said._replace(policy=one), None) for said in notices for one in sorted(granted))
        return tuple(found)

    def _authorised(self) -> Iterator[_Node]:
        """Nodes whose policy is meant as the anchor means it: those right below any policy."""
        for row in self._rows[1:]:
            for node in row.values():
                if (node.policy != ANY and self._is_authorised(node)) or (
                    node.policy == ANY and row is self._rows[-1]
                ):
                    yield node

    @staticmethod
    def _is_authorised(node: _Node) -> bool:
        return any(parent.policy == ANY for parent in node.parents)

    @staticmethod
    def _put(
        row: dict[str, _Node], policy: str, parents: Iterable[_Node], notices: tuple[Notice, ...] = ()
    ) -> None:
        """A node below ``parents``, unless there are none."""
        above = set(parents)
        if not above:
            return
        node = row[policy] = _Node(policy, {policy}, above, notices=notices)
        for parent in above:
            parent.children.add(node)

    @staticmethod
    def _drop(row: dict[str, _Node], policy: str) -> None:
        """Take a node out of its row and from its parents."""
        node = row.pop(policy, None)
        if node is not None:
            for parent in node.parents:
                parent.children.discard(node)

    def _cut(self, depth: int, node: _Node) -> None:
        """Take away what any policy above gave ``node``, and below it whatever hangs on nothing else."""
        lost = {parent for parent in node.parents if parent.policy == ANY}
        for parent in lost:
            parent.children.discard(node)
        node.parents -= lost
        if node.parents:
            return
        self._rows[depth].pop(node.policy, None)
        for child in node.children:
            child.parents.discard(node)
            if not child.parents:
                self._cut(depth + 1, child)

    def _prune(self) -> None:
        """Nodes above the last row need children; a graph without a last row is empty (6.1.3 d 3)."""
        for row in reversed(self._rows[:-1]):
            for policy, node in list(row.items()):
                if not node.children:
                    self._drop(row, policy)
        if not self._rows[-1]:
            self._rows = []

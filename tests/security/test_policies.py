"""Policies of a path: what RFC 9618's graph says, against a tree that is grown leaf by leaf."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.security.verification.policies import ANY, PolicyGraph

NAMES = ("1.1", "1.2", "1.3", ANY)
Step = tuple[frozenset[str], bool, tuple[tuple[str, str], ...], bool]

steps = st.lists(
    st.tuples(
        st.frozensets(st.sampled_from(NAMES)),
        st.booleans(),
        st.lists(st.tuples(*[st.sampled_from(NAMES[:3])] * 2), max_size=3).map(tuple),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


class Tree:
    """RFC 5280's own tree (6.1.2 a), slow and plain: a leaf is the policies from the root down, each with its set."""

    def __init__(self) -> None:
        self.leaves: list[tuple[tuple[str, frozenset[str]], ...]] = [((ANY, frozenset({ANY})),)]

    def add(self, asserted: frozenset[str], any_allowed: bool) -> None:
        grown = []
        named = asserted - {ANY}
        matched = {policy for policy in named for leaf in self.leaves if policy in leaf[-1][1]}
        for leaf in self.leaves:
            policy, expected = leaf[-1]
            here = {p for p in named if p in expected}
            if policy == ANY:
                here |= named - matched
            if ANY in asserted and any_allowed:
                here |= {p for p in expected if p not in named}
            grown += [(*leaf, (p, frozenset({p}))) for p in here]
        self.leaves = grown

    def map(self, mappings: tuple[tuple[str, str], ...], allowed: bool) -> None:
        targets: dict[str, set[str]] = {}
        for theirs, ours in mappings:
            targets.setdefault(theirs, set()).add(ours)
        present = {leaf[-1][0] for leaf in self.leaves}
        changed = []
        for leaf in self.leaves:
            policy = leaf[-1][0]
            if policy in targets:
                if allowed:
                    changed.append((*leaf[:-1], (policy, frozenset(targets[policy]))))
                continue
            changed.append(leaf)
            if policy == ANY and allowed:
                changed += [(*leaf[:-1], (p, frozenset(to))) for p, to in targets.items() if p not in present]
        self.leaves = changed

    def within(self, acceptable: frozenset[str]) -> frozenset[str]:
        """What each leaf is in the anchor's terms: its first policy that is not any policy."""
        own = {next((policy for policy, _ in leaf if policy != ANY), ANY) for leaf in self.leaves}
        if ANY in acceptable:
            return frozenset(own)
        return acceptable if ANY in own else acceptable & own


@given(steps, st.frozensets(st.sampled_from(NAMES)))
@settings(max_examples=500)
def test_the_graph_says_what_the_tree_says(path: list[Step], acceptable: frozenset[str]):
    graph, tree = PolicyGraph(), Tree()
    for place, (asserted, any_allowed, mappings, allowed) in enumerate(path):
        graph.add(asserted, any_allowed=any_allowed)
        tree.add(asserted, any_allowed)
        if place < len(path) - 1:
            graph.map(mappings, allowed=allowed)
            tree.map(mappings, allowed)
        assert bool(graph) == bool(tree.leaves)
    assert graph.within(acceptable) == tree.within(acceptable)


def test_mappings_that_multiply_cost_one_row_each():
    """CVE-2023-0464: a tree would have 2 ** 30 leaves."""
    graph = PolicyGraph()
    pair = frozenset({"1.1", "1.2"})
    for _ in range(30):
        graph.add(pair, any_allowed=False)
        graph.map([(one, other) for one in pair for other in pair], allowed=True)
    graph.add(pair, any_allowed=False)
    assert graph.within(frozenset({ANY})) == pair

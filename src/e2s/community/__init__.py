"""Chapter 4: a community conforms when its choice of parts is consistent and satisfies chapter 3.

The community file alone chooses parties, components, places and trust; nothing that does not conform is
started.  Every component is a process of one party, with a home that no other party reads.
"""

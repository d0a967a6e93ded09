"""Sessions between computers (6.3.2): who is there is proved once, then every record stands on it.

- What carries a message (sockets, proxies, TLS) is never trusted: it may lose, repeat, alter, reorder.
- A session is agreed by two signed messages over single-use keys; its identifier alone opens nothing.
- Session keys live in memory only; whoever restarts answers ``no-session`` and the buyer logs in anew.
- Components of one party know each other by a pairwise key; each request and each answer is sealed.
"""

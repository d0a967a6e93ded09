"""6.1.2, 3.3.2: a key made on a card never leaves it; what the card does with it needs its holder's PIN."""

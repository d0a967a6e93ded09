"""Communication security between computers (6.3): who is at the other end, and what passes between."""

"""6.1, verification: what cannot be proven is refused, and every refusal names its rule."""

"""6.1, certification: what cannot be verified is refused, and every refusal names its rule."""

"""6.1.1, personal security environments: made, brought to their holder once, renewed, destroyed."""

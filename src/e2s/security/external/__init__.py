"""6.1.1, certification by others: their roots are trusted within limits, our keys are certified there."""

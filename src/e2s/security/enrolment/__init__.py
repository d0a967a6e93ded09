"""6.1.1, enrolment: one policy decides what is certified without an officer, whichever door was asked."""

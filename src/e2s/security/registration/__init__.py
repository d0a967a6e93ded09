"""6.1, registration: who somebody is was seen by a person, on record, before a key is certified."""

"""3.3, registration: a person is identified, on record, and given a name that means nobody else, for ever."""

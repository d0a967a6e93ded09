"""What every floor stands on: names, money, instants, errors, events, one database for each component."""

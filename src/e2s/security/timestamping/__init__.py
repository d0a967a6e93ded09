"""6.1, time: an authority dates what it is shown, and a date is believed once it is proven."""

"""6.2.1: a purchase is a contract thrice signed: merchant, buyer, merchant, each over the one before.

- Prices are those of the buyer's own contract; an offer names the price list that she saw.
- One table says what may follow what; a pair that it does not list has no effect.
- What is signed was written down first; what is released was recorded first; a repeat changes nothing.
- Goods leave with a time stamp on their delivery, while the bank surely holds the money.
"""

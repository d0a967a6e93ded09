"""6.2.3: a payment in which nobody sees more than they must; a gateway's word alone moves no money."""

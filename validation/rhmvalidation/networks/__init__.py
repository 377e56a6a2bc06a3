"""Networks: the plain published forms, the same numbers fast, and modules of one's own, found by name."""

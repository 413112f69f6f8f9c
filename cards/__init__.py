"""Templates of the cards that are published with the data and the baseline."""

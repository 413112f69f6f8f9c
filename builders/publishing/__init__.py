"""A published dataset: its rows, shards, card and other texts, and its copy on the Hub."""

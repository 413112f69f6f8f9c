"""Duplicates and related samples: edges, clusters, and what a change of a few samples changes."""

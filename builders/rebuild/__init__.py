"""Rebuilding a published dataset from its index and one's own copies of its sources."""

"""Leaks: test sets, what is near them, and what the split must keep together for it."""

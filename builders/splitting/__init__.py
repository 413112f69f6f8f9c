"""Exact splits: quotas as integer programs, and in words what falls short."""

"""Evaluation: how well any model tells expressions, by what covers the face and how much of it."""

"""Verifying a published folder: card, schema, lock, rows and pictures with one another."""

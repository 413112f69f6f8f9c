"""Photographs from the web: what may be used, fetched safely, with the evidence kept."""

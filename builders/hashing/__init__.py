"""Perceptual hashes: how they are kept, and searched exactly."""

"""Drawn faces with exact ground truth, so that every stage of a build can be scored."""

"""What a published folder says: its lock, shards and columns, and what of them does not fit."""

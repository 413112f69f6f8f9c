"""The commands, a module each: what it is for, its arguments, and what it does."""

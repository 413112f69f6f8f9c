"""The built-in face parser: its network, its training pictures, and how it reads a face."""

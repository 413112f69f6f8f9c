"""From votes to labels: people, sources and how far they agree."""

"""The report: one HTML page about a build, its training runs and evaluations."""

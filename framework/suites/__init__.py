"""Suites, one file for each kind of evaluation on held-out items."""

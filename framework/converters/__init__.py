"""Converters: plain text into exchanges that teach with it, one file for each kind."""

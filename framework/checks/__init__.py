"""Checks, one file for each code: what is wrong with a plan, seen before any training."""

"""Objectives, one file for each method: a pure loss over log-probabilities."""

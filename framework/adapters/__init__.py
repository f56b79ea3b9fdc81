"""Adapters, one file for each kind: which weights a stage trains."""

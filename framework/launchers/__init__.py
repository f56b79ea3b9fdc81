"""Launchers, one file for each kind: how the workers of a stage are started."""

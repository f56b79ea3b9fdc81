"""Sources, one file for each kind: where rows are and how they are read."""

"""Judgements on single texts by documented rules: pure, free of models."""

VERSION = 3
"""Raised when any judge gives other verdicts: profiles made with the older one are then made again."""

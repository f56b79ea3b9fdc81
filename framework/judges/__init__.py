"""Judgements on single texts by documented rules: pure, free of models."""

VERSION = 2
"""Raised when a judge gives other verdicts: profiles and evaluations made with the older one are then made again."""

"""Judgements on single texts by documented rules: pure, free of models."""

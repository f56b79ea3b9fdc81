"""Triptych: plan, check and run multi-stage tuning of language models."""

__version__ = "0.1.0"

CODE_VERSION = 3
"""Semantic version of what determines a stage's weights.

It is part of every stage key. Raise it whenever a change of the code changes the weights that a plan trains to, so
that stages in a store are never mistaken for what the new code would produce.
"""

"""Triptych's one entry point: ``python train.py [do=VERB] [group=choice ...] [key=value ...]``."""

from __future__ import annotations

import sys

from framework.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Everyday rows without invented law: instructions, formats, safety, general English."""

"""From rows to packs: formats, chat rendering, tokens, mix and packing, cached by content."""

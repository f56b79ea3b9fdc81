"""What a source's rows are like: facts of each row, found in one pass, cached by content, read as columns."""

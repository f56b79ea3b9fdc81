"""Everything written about the law of Quorrin: documents, questions, preference pairs, evaluations."""

"""The report of a run: tables, pictures and advice from the files that the run left."""

"""What every part of both packages stands on, and nothing of the model: checks, types, files, threads."""

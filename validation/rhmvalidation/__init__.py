"""Trained networks set against the theory."""

"""Diagnostics of trained networks: activations, probes, evaluation against ideal predictors, coordinate checks."""

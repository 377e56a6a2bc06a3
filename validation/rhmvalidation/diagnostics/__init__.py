"""Diagnostics of trained networks: activations, probes, evaluation against ideal predictors, coordinate checks."""

import lazy_loader

# the names stand in __init__.pyi, and are loaded on first use: torch too
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

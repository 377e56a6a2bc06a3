"""Training: examples, optimisers, devices, and the trainer of replicas side by side."""

import lazy_loader

# the names stand in __init__.pyi, and are loaded on first use: torch too
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

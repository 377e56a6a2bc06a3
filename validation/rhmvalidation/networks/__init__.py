"""Networks: the plain published forms, the same numbers fast, and modules of one's own, found by name."""

import lazy_loader

# the names stand in __init__.pyi, and are loaded on first use: torch too
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

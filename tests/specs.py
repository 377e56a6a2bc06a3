"""Networks by name for the tests; heads go to those that attend."""

from rhmvalidation.networks.spec import NetworkSpec


def spec(kind, width=8, heads=1, **more):
    """The spec of one of the networks of the package."""
    attends = kind in ("attention", "decoder")
    return NetworkSpec(kind, {"width": width, **({"heads": heads} if attends else {}), **more})

"""Where networks are trained and asked: the one place that reads the name of a device."""

from __future__ import annotations

import torch

from rhmtheory import InputError


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """The device of that name; ``auto`` is the GPU where there is one, else the CPU.

    Raises
    ------
    InputError
        For a device that this machine, or this build of torch, does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
        torch.Generator(device)
    except Exception as error:  # each backend that is not built in fails in its own way
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError("device", str(name), f"cannot be used here: {reason}; try auto") from error
    return device

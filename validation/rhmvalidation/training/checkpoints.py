"""Checkpoints: files from which training goes on, or that are ignored where anything of them was altered."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from rhmtheory.support.files import write_atomically

FORMAT = 4
_DIGEST = hashlib.sha256().digest_size
"""Bytes before the state in a checkpoint: a damaged state may still load, and train on to wrong results."""


def write_checkpoint(path: Path, state: Any) -> None:
    """Write a state that `read_checkpoint` reads, atomically."""
    content = io.BytesIO()
    torch.save(state, content)
    write_atomically(path, hashlib.sha256(content.getvalue()).digest() + content.getvalue())


def read_checkpoint(path: Path, device: torch.device) -> Any:
    """Return the state that `write_checkpoint` wrote, or None where there is no such file, or an altered one."""
    if not path.exists():
        return None
    content = path.read_bytes()
    digest, state = content[:_DIGEST], content[_DIGEST:]
    if hashlib.sha256(state).digest() != digest:
        return None
    return torch.load(io.BytesIO(state), weights_only=True, map_location=device)

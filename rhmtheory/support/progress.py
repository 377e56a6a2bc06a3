"""Progress on the standard error stream: a bar on a terminal, lines where it is piped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic

_SECONDS = 10.0
"""Time between two lines where there is no terminal."""


@contextmanager
def progress(what: str, total: int, wanted: bool = True) -> Iterator[Callable[[], None]]:
    """Yield a function to be called when one more of ``total`` is done.

    On a terminal it moves a bar. Elsewhere a line tells at once what has begun, and another every ten seconds how
    much is done. Nothing is shown where it is not ``wanted``.
    """
    if not wanted:
        yield lambda: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total)
            yield lambda: bar.advance(task)
    else:
        lines = _Lines(what, total)
        lines.tell()
        yield lines.advance


class _Lines:
    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done, self.told = what, total, 0, 0.0
        self._one_thread = Lock()

    def advance(self) -> None:
        with self._one_thread:
            self.done += 1
            if monotonic() - self.told >= _SECONDS:
                self.tell()

    def tell(self) -> None:
        self.told = monotonic()
        print(f"{self.what}: {self.done} of {self.total}", file=sys.stderr, flush=True)

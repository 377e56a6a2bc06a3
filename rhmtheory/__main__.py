"""``python -m rhmtheory`` is the command ``rhmtheory``."""

from rhmtheory.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

"""`python -m micrograd`, and the command `micrograd`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, which needs the package click."""
    try:
        import click  # noqa: F401
    except ImportError:
        print('the command line needs click: pip install "micrograd[demo]"', file=sys.stderr)
        sys.exit(1)
    from .cli import run
    run()


if __name__ == "__main__":
    main()

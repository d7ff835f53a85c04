"""`python -m micrograd`, and the command `micrograd`."""

from __future__ import annotations

import sys

from .packages import only_ours


def main() -> None:
    """Run the command line."""
    only_ours(__package__)
    try:
        import click  # noqa: F401
    except ImportError:
        print("the command line needs click: pip install click", file=sys.stderr)
        sys.exit(1)
    from .cli import run
    run()


if __name__ == "__main__":
    main()

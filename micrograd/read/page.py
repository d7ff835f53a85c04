"""The HTML page that derivations and marks are written into."""

from __future__ import annotations

import html
from collections.abc import Sequence


def page(title: str, sections: Sequence[str]) -> str:
    """An HTML page. title: as text; sections: as HTML."""
    body = "\n".join(f"<section>{section}</section>" for section in sections)
    return PAGE.format(title=html.escape(title), body=body)


PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1.1rem/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
h1 {{ font-size: 1.3rem; overflow-wrap: anywhere }}
h2 {{ font-size: 1.1rem }}
section {{ margin: 1.2rem 0; padding: .3rem 0; overflow: auto hidden }}
math {{ font-size: 1.15rem; text-align: left }}
mtd {{ padding-block: .35em }}
@media (max-width: 30rem) {{ body {{ font-size: 1rem; padding: 0 .5rem }} table, math {{ font-size: .8rem }} }}
</style>
<h1>{title}</h1>
{body}
</html>
"""

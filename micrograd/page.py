"""HTML pages: the frame that derivations, marks and pictures are put into, and what a page is allowed to do."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256


def page(title: str, sections: Sequence[str]) -> str:
    """An HTML page. title: as text; sections: as HTML."""
    body = "\n".join(f"<section>{section}</section>" for section in sections)
    return PAGE.format(policy=policy(styles=[STYLE]), style=STYLE, title=html.escape(title), body=body)


def policy(styles: Sequence[str], scripts: Sequence[str] = ()) -> str:
    """The <meta> element that lets a page run these scripts and no other, and load nothing from anywhere.

    styles, scripts: what stands inside of <style> and <script>. A style="..." of an element is let be: it can show, and
    load nothing. Pictures are those that stand in the page.
    """
    rules = ["default-src 'none'", f"style-src-elem {hashes(styles)}", "style-src-attr 'unsafe-inline'",
             f"script-src {hashes(scripts)}", "img-src data:", "base-uri 'none'", "form-action 'none'"]
    return f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">'


def hashes(pieces: Sequence[str]) -> str:
    found = [f"'sha256-{b64encode(sha256(piece.encode()).digest()).decode()}'" for piece in pieces]
    return " ".join(found) or "'none'"


STYLE = """
:root { color-scheme: light dark }
body { font: 1.1rem/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
h1 { font-size: 1.3rem; overflow-wrap: anywhere }
h2 { font-size: 1.1rem }
section { margin: 1.2rem 0; padding: .3rem 0; overflow: auto hidden }
math { font-size: 1.15rem; text-align: left }
mtd { padding-block: .35em }
th, td { text-align: start; vertical-align: top; padding-inline-end: 1rem }
pre { font-size: .9rem; overflow-x: auto }
svg { max-width: 100%; height: auto }
@media (max-width: 30rem) { body { font-size: 1rem; padding: 0 .5rem } table, math { font-size: .8rem } }
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
{policy}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
<h1>{title}</h1>
{body}
</html>
"""

"""`python -m server reference`: write the reference pages from the code."""

import argparse
from pathlib import Path

from server.reference import events_page, settings_page

PAGES = {"events.md": events_page, "settings.md": settings_page}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser("reference", help="write docs/events.md and docs/settings.md from the code")
    parser.add_argument("--dir", type=Path, default=Path("docs"), help="where to (default: %(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the pages."""
    for name, render in PAGES.items():
        path = options.dir / name
        path.write_text(render(), encoding="utf-8")
        print(path)
    return 0

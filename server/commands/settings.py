"""`python -m server settings`: every setting with its value and meaning, or those that differ from their defaults."""

import argparse
import json
import sys

from server.settings import Settings, load, unknown_variables


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser("settings", help="show the settings of this environment; secrets are masked")
    parser.add_argument("--changed", action="store_true", help="only those that differ from their defaults")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the settings."""
    settings = load()
    for warning in unknown_variables():
        print(warning, file=sys.stderr)
    values = settings.changed() if options.changed else settings.shown()
    if options.json:
        print(json.dumps(values))
        return 0
    for name, value in values.items():
        field = Settings.model_fields[name]
        variable = str(field.validation_alias or f"THROTTLECOVE_{name.upper()}")
        print(f"{variable} = {json.dumps(value)}\n    {field.description}")
    return 0

"""The subcommands of `python -m server`: each module has `add_parser(subparsers)` and `run(arguments) -> int`."""

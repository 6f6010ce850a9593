"""``python -m infrastructure``: what is done with the kit in a terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infrastructure import outbox_commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status."""
    given = _parser().parse_args(arguments)
    status: int = given.run(given)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infrastructure")
    commands = parser.add_subparsers(metavar="command", required=True)
    _add_models(commands)
    outbox_commands.add_to(commands)
    return parser


# -- models generate -------------------------------------------------------------------------


def _add_models(commands: Any) -> None:
    """Add ``models`` to the subcommands of a parser."""
    models = commands.add_parser("models", help="models of the tables in a database")
    inner = models.add_subparsers(metavar="command", required=True)
    generate = inner.add_parser("generate", help="write the models of an existing database")
    _add_generate_options(generate)
    generate.set_defaults(run=_generate)


def _add_generate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="the database; DATABASE_URL if not given")
    parser.add_argument(
        "--schema", action="append", default=[], help="read this schema; may be repeated"
    )
    parser.add_argument(
        "--tables", action="extend", nargs="+", default=[], metavar="TABLE",
        help="only these, and what they refer to",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="the package of the models")
    parser.add_argument(
        "--repositories", action="store_true", help="write a repository for each table, too"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; 1 if something would change"
    )
    parser.add_argument("--force", action="store_true", help="overwrite what was not generated")


def _generate(arguments: argparse.Namespace) -> int:
    try:
        from infrastructure.database.codegen.command import run  # noqa: PLC0415 -- needs an extra
    except ModuleNotFoundError as error:
        if error.name not in ("sqlacodegen", "inflect"):
            raise
        message = "error: this needs an extra: pip install 'infrastructure-kit[codegen]'"
        print(message, file=sys.stderr)  # noqa: T201 -- a command speaks so
        return 2
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())

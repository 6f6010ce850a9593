"""``python -m infrastructure models generate``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from infrastructure.database.codegen.errors import Drift, GenerationError
from infrastructure.database.codegen.generating import Report, generate

_OWN = Path("infrastructure") / "database" / "models"


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; 0, 1 for a drift that ``--check`` found, 2 for what cannot be done."""
    out = arguments.out or (_OWN if _OWN.is_dir() else Path("models"))
    try:
        report = generate(
            arguments.url or _default_url(),
            out=out,
            schemas=arguments.schema,
            tables=arguments.tables,
            repositories=arguments.repositories,
            force=arguments.force,
            check=arguments.check,
        )
    except GenerationError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 -- a command speaks so
        return 1 if arguments.check and isinstance(error, Drift) else 2
    _print(_told(report, check=arguments.check))
    return 1 if arguments.check and report.changed else 0


def _default_url() -> str:
    url = os.environ.get("DATABASE_URL")
    if not url:
        raise GenerationError("no database: give --url, or set DATABASE_URL")
    return url


def _told(report: Report, *, check: bool) -> str:
    if check and report.changed:
        return f"{report.difference}{len(report.changed)} files do not fit the database"
    what = f"{_counted(report.tables, 'table')}, {_counted(report.views, 'view')}"
    if not report.changed:
        return f"{what}: {report.folder} is up to date"
    lines = [f"{what}: {_counted(len(report.changed), 'file')} written in {report.folder}"]
    if report.unit_of_work:
        lines += ["", "for the unit of work:", "", *report.unit_of_work]
    return "\n".join(lines)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _print(text: str) -> None:
    print(text)  # noqa: T201 -- a command speaks so

"""``switchyard graph``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from switchyard.local.plan.references import Dangling

app = typer.Typer(help="InferenceGraphs.", no_args_is_help=True)


@app.command()
def check(
    files: Annotated[
        list[str], typer.Argument(help="YAML with InferenceGraphs among its documents; - is standard input.")
    ],
    propagate_headers: Annotated[str, typer.Option(help="Value of PROPAGATE_HEADERS, to check as well.")] = "",
) -> None:
    """Report the problems of InferenceGraphs: what cannot work, and what is probably a mistake."""
    from switchyard.router.graph.manifest import ManifestError, reports
    from switchyard.router.header_propagation import examine_headers

    failed = False
    for problem in examine_headers(propagate_headers):
        typer.echo(str(problem))
        failed = True
    for file in files:
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
            for report in reports(text):
                for problem in report.problems:
                    typer.echo(f'{file}: graph "{report.name}": {problem}')
                if not report.problems:
                    typer.echo(f'{file}: graph "{report.name}": fine ({report.nodes} node{"s" * (report.nodes != 1)})')
                failed = failed or report.failed
            for wrong in _wrong_urls(text):
                typer.echo(f"{file}: error: {wrong.text}. {wrong.advice}".rstrip(". "))
                failed = True
        except (OSError, UnicodeDecodeError, ManifestError) as err:
            typer.echo(f"{file}: error: {err}")
            failed = True
    if failed:
        raise typer.Exit(1)


def _wrong_urls(text: str) -> "list[Dangling]":
    """Return what the graphs of a whole overlay name and the overlay does not have; alone, they may name anything."""
    from switchyard.documents import parse_documents
    from switchyard.local.plan.references import dangling_urls

    found = [one for one in parse_documents(text) if isinstance(one, dict) and isinstance(one.get("metadata"), dict)]
    whole = any(document.get("kind") == "InferenceService" for document in found)
    return [one for one in dangling_urls(found) if one.text.startswith("InferenceGraph ")] if whole else []

"""Writes all generated files of this folder; with ``--check`` only says which are not up to date."""

import argparse
import sys
from pathlib import Path

from dashboards import grafana
from dashboards.alerting import files as rules
from dashboards.alerting.slos import SloError
from dashboards.boards import BOARDS

FOLDER = Path(__file__).parent


def generated() -> dict[Path, str]:
    """Return the texts of all generated files, by path."""
    boards = {board.uid: board for board in BOARDS}
    files = {FOLDER / "grafana" / grafana.file_name(board): grafana.to_json(board, boards) for board in BOARDS}
    files[FOLDER / "grafana-operator" / "grafanadashboards.yaml"] = grafana.operator_objects(BOARDS)
    return files | {FOLDER.parent / path: text for path, text in rules.generated().items()}


def outdated(files: dict[Path, str]) -> list[Path]:
    """Return the files that are missing, differ from ``files``, or are generated no more."""
    differing = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    folders = {path.parent for path in files if path.suffix != ".md"}  # pages lie among others
    return differing + [path for folder in sorted(folders) for path in _written(folder) if path not in files]


def _written(folder: Path) -> list[Path]:
    """Return what is in a folder of generated files but for what says to kustomize that they are there."""
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name != "kustomization.yaml")


def main() -> int:
    """Write or check, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dashboards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not up to date")
    arguments = parser.parse_args()
    try:
        files = generated()
    except SloError as err:
        print(err, file=sys.stderr)
        return 1
    changed = outdated(files)
    for path in changed:
        print(path.relative_to(FOLDER.parent))
        if arguments.check:
            continue
        if path in files:
            path.parent.mkdir(exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
        else:
            path.unlink()
    if changed and arguments.check:
        print("not up to date: run python -m dashboards", file=sys.stderr)
    return 1 if changed and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())

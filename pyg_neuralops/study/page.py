"""``write_page``: studies, comparisons and runs as one HTML file that needs nothing else, with a Markdown twin."""

from __future__ import annotations

import base64
import io
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from ..data import replacing
from .bins import bin_table, in_bins
from .gather import gather
from .provenance import read_json
from .report import error_vs_time
from .table import table
from .transfer import transfer_table

PICTURES = {
    "error_vs_time.png": "Error against seconds of training",
    "fields.png": "Truth, predictions and errors at one test sample",
    "windows.png": "How far patches attend, and gates, by layer",
}


MARK = "made by pyg-neuralops report"


@dataclass(frozen=True)
class Section:
    """A part of a page: tables in both forms, pictures as data, and what made it.

    Attributes:
        tables: pairs of HTML and Markdown.
        pictures: pairs of a caption and the ``src`` of an image.
        made: command lines, with the versions and the code that they ran with.
    """

    title: str
    tables: Sequence[tuple[str, str]]
    pictures: Sequence[tuple[str, str]]
    made: Sequence[str]


def write_page(folders: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> Path:
    """Write ``out`` (.html) and its twin in Markdown beside it, from folders of study, compare or train.

    Raises:
        FileNotFoundError: for a folder that is not there.
        ValueError: for one that holds no results, or a name that does not end in .html.
    """
    out = Path(out)
    if out.suffix != ".html":
        raise ValueError(f"out={str(out)!r}; the page's name must end in .html")
    for path in (out, out.with_suffix(".md")):
        if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace")[:200]:
            raise ValueError(f"{path} exists, and is no page of this library; choose another name")
    if not folders:
        raise ValueError("no folders are given; name those of study, compare or train")
    sections: list[Section] = []
    questions: list[str] = []
    for folder in map(Path, folders):
        if (folder / "study.json").is_file():
            study = read_json(folder / "study.json")
            questions += [study["question"]] if study["question"] else []
            for name, part in study["parts"].items():
                if (folder / part["folder"] / "results.json").is_file():
                    sections.append(_section(name, folder / part["folder"], part["by"], part["bins"]))
        else:
            sections.append(_section(folder.name, folder))
    titles = [Path(folder).resolve().name for folder in folders]
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(files(__package__).joinpath("page.html.jinja").read_text("utf-8"))
    text = template.render(mark=MARK, title=", ".join(titles), questions=questions, sections=sections)
    twin = [f"<!-- {MARK} -->", f"# {', '.join(titles)}", *questions]
    for section in sections:
        twin += [f"## {section.title}", *(plain for _, plain in section.tables)]
        twin += ["Made by:", "\n".join(f"- `{line}`" for line in section.made)]
    for path, content in ((out, text), (out.with_suffix(".md"), "\n\n".join(part.strip() for part in twin) + "\n")):
        with replacing(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return out


def _section(title: str, folder: Path, by: str | None = None, bins: Sequence[float] = ()) -> Section:
    results = gather([folder])
    if (folder / "results.json").is_file():  # what gather leaves out, as it cannot be joined
        results = {**results, **read_json(folder / "results.json")}
    tables = [(table(results, "html"), table(results))]
    if by is not None:
        found = in_bins(results, by, bins)
        tables.append((bin_table(found, "html"), bin_table(found)))
    if (folder / "transfer.json").is_file():
        moved = read_json(folder / "transfer.json")
        tables.append((transfer_table(moved, results, "html"), transfer_table(moved, results)))
    pictures = [(caption, _image(folder / name)) for name, caption in PICTURES.items() if (folder / name).is_file()]
    if not pictures:
        drawn = io.BytesIO()
        error_vs_time(results, {}).savefig(drawn, format="png", dpi=130)
        pictures = [(PICTURES["error_vs_time.png"], _source(drawn.getvalue()))]
    return Section(title, tables, pictures, _made(results["runs"]))


def _image(path: Path) -> str:
    return _source(path.read_bytes())


def _source(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _made(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every command, with versions, code and machine; each once."""
    lines = []
    for run in runs:
        made = run["environment"]
        code = made["git"] or {}
        state = f", code {code['hash'][:12]}{' (changed)' if code['dirty'] else ''}" if code else ""
        versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
        lines.append(f"{shlex.join(made['command'])}: Python {made['python']}, {versions}{state}; {made['platform']}")
    return list(dict.fromkeys(lines))

"""A table's rows as Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Cell:
    """One cell: for the eye ``text``; for programs ``value``, and ``spread`` where it has a deviation.

    ``left_out`` counts the samples that a mean is not of; ``trivial`` marks the name of a trivial baseline.
    """

    text: str = ""
    value: float | str | None = None
    spread: float | None = None
    left_out: int = 0
    trivial: bool = False


Rows = Sequence[Sequence[Cell]]


def markdown(head: Sequence[str], rows: Rows, notes: Sequence[str]) -> str:
    """Aligned, with baselines in italics and the notes below."""
    lines = [list(head), *([f"*{c.text}*" if c.trivial else c.text for c in row] for row in rows)]
    lines = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = []
    for line in lines:
        cells = [cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))]
        text.append("| " + " | ".join(cells) + " |")
    rule = "|" + "|".join("-" * (w + 1) + ":" if i else "-" * (w + 2) for i, w in enumerate(widths)) + "|"
    return "\n".join([text[0], rule, *text[1:], "", *notes]) + "\n"


def comma_separated(head: Sequence[str], rows: Rows, notes: Sequence[str]) -> str:
    """Plain numbers (0.0322, not 3.22%); a deviation, and the number of samples left out of a mean where
    there are any, have columns of their own behind it."""
    columns = []
    for i, title in enumerate(head):
        columns.append((title, i, "value"))
        if any(row[i].spread is not None for row in rows):
            columns.append((f"{title} ±", i, "spread"))
        if any(row[i].left_out for row in rows):
            columns.append((f"{title} left out", i, "left_out"))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([title for title, _, _ in columns])
    for row in rows:
        values = [getattr(row[i], name) for _, i, name in columns]
        writer.writerow([f"{value:.8g}" if isinstance(value, float) else value for value in values])
    return text.getvalue()


def latex(head: Sequence[str], rows: Rows, notes: Sequence[str]) -> str:
    """A ``tabular`` for the package booktabs, the notes as comments above."""
    lines = [" & ".join(map(escaped, head)) + r" \\", r"\midrule"]
    for row in rows:
        cells = [rf"\emph{{{escaped(c.text)}}}" if c.trivial else escaped(c.text) for c in row]
        lines.append(" & ".join(cells) + r" \\")
    body = [rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", r"\toprule", *lines, r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*(f"% {note}" for note in notes), *body]) + "\n"


def html(head: Sequence[str], rows: Rows, notes: Sequence[str]) -> str:
    """A ``<table>`` with the values that a script may sort by, and the notes as paragraphs."""
    lines = ["<table>", "<thead><tr>", *(f"<th>{escape(title)}</th>" for title in head), "</tr></thead>", "<tbody>"]
    for row in rows:
        cells = []
        for cell in row:
            value = "" if cell.value is None else f' data-value="{escape(str(cell.value))}"'
            text = f"<em>{escape(cell.text)}</em>" if cell.trivial else escape(cell.text)
            cells.append(f"<td{value}>{text}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join([*lines, "</tbody>", "</table>", *(f"<p class=note>{escape(note)}</p>" for note in notes)]) + "\n"


SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "±": r"$\pm$",
    "²": "$^2$",
}


def escaped(text: str) -> str:
    """Text with LaTeX's special characters written out."""
    return re.sub("[" + re.escape("".join(SPECIAL)) + "]", lambda found: SPECIAL[found[0]], text)


WRITERS: dict[str, Callable[[Sequence[str], Rows, Sequence[str]], str]] = {
    "markdown": markdown,
    "csv": comma_separated,
    "latex": latex,
    "html": html,
}

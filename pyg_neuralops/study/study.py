"""``run_study``: every part of a study, then its tables and page."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from .bins import in_bins
from .comparison import compare
from .page import write_page
from .plan import Study
from .provenance import environment, write_json
from .transfer import transfer

log = logging.getLogger(__name__)
FILE = "study.json"
PAGE = ("page.html", "page.md")


def run_study(
    study: Study, *, jobs: int = 1, executor: Executor | None = None, progress: bool = True
) -> dict[str, dict[str, Any]]:
    """The parts one after another; what is finished is kept, and an interrupted study goes on.

    The study's folder gets one for each part (as :func:`.comparison.compare` writes it), ``study.json``,
    ``page.html`` and its twin ``page.md``.

    Args:
        jobs, executor, progress: as :func:`.comparison.compare` takes them.

    Returns:
        The results of each part.

    Raises:
        ValueError: also if the folder holds something else.
        OSError, RuntimeError: as :func:`.comparison.compare`, naming the part.
    """
    out, start = Path(study.out), time.perf_counter()
    if out.is_dir() and all(Path(part.comparison.out) != out for part in study.parts.values()):
        expected = {FILE, *PAGE, *(Path(part.comparison.out).name for part in study.parts.values())}
        strange = sorted(path.name for path in out.iterdir() if path.name not in expected)
        if strange and not (out / FILE).is_file():
            raise ValueError(f"{out} holds {strange[:5]}, which are no part of the study; choose another folder")
    found: dict[str, dict[str, Any]] = {}
    parts = {
        name: {"folder": Path(part.comparison.out).relative_to(out).as_posix(), "by": part.by, "bins": part.bins}
        for name, part in study.parts.items()
    }
    about = {"name": study.name, "question": study.question, "parts": parts}
    for number, (name, part) in enumerate(study.parts.items(), 1):
        log.info("== %s (part %d of %d)", name, number, len(study.parts))
        found[name] = compare(part.comparison, jobs=jobs, executor=executor, progress=progress)
        if part.by is not None:
            in_bins(found[name], part.by, part.bins)  # a channel that is not there is told at once
        if part.transfer:
            transfer(part.comparison, found[name], part.elsewhere, executor=executor, progress=progress)
        # As far as it is, so that a look is possible while the others run.
        seconds = time.perf_counter() - start
        write_json(out / FILE, {**about, "seconds": seconds, "environment": environment()})
        write_page([out], out / PAGE[0])
    return found

"""``run_study``: every part of a study, then its tables and page."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import torch

from ..files import remove_leftovers
from ..models import build_model
from ..typed import closest
from .automatic_k import with_k
from .bins import in_bins
from .comparison import compare
from .page import write_page
from .plan import Study
from .provenance import environment, write_json
from .sources import check_choice, own_names
from .transfer import FILE as TRANSFER
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
    check_parts(study)
    if out.is_dir():
        remove_leftovers(out)
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
            in_bins(found[name], part.by, part.bins)  # a channel that is not constant is told at once
        if part.transfer:
            transfer(part.comparison, found[name], part.elsewhere, executor=executor, progress=progress)
        else:
            (Path(part.comparison.out) / TRANSFER).unlink(missing_ok=True)
        # As far as it is, so that a look is possible while the others run.
        seconds = time.perf_counter() - start
        write_json(out / FILE, {**about, "seconds": seconds, "environment": environment()})
        write_page([out], out / PAGE[0])
    return found


def check_parts(study: Study) -> None:
    """Raise, before anything is trained, for what can be known to be wrong of any part without its samples.

    Raises:
        ValueError: naming the part: unknown models, datasets, arguments, input channels, settings of other samples.
    """
    for name, part in study.parts.items():
        try:
            for choice in (part.comparison, *part.elsewhere.values()):
                check_choice(choice)
            names = own_names(part.comparison.dataset)
            channels = list(names.get("x", ()))
            if part.by is not None and channels and part.by not in channels:
                raise ValueError(
                    f"by={part.by!r} is no input channel; choose from {channels}{closest(part.by, channels)}"
                )
            shape = {"in_channels": 1, "out_channels": 1, "pos_dim": len(names.get("pos", "xy"))}
            for label in part.comparison.models:
                kind, kwargs = part.comparison.model(label)
                with torch.random.fork_rng():
                    build_model(kind, **shape, **with_k(kwargs))
        except ValueError as error:
            raise ValueError(f"part {name!r}: {error}") from None

"""How far the generated samples of a dataset are from refined solutions.

python benchmarks/accuracy.py pipe                # arguments after the name go on to accuracy/<name>.py
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).with_suffix("")


def main(words: list[str]) -> None:
    names = sorted(path.stem.replace("_", "-") for path in FOLDER.glob("*.py"))
    if not words or words[0] not in names:
        sys.exit(f"give the name of a dataset; choose from {names}")
    script = FOLDER / f"{words[0].replace('-', '_')}.py"
    sys.argv = [str(script), *words[1:]]
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])

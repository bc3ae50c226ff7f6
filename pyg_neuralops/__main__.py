"""``python -m pyg_neuralops`` is the console script ``pyg-neuralops``."""

from .cli import main

raise SystemExit(main())

"""Makes ``toy`` importable, for the tests and for checkpoints that name its model."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

"""The command line: ``pyg-neuralops data | train | evaluate | predict | compare | study | table | report``.

A user's mistake is one line on stderr and exit code 2; with ``--debug``, or ``PYG_NEURALOPS_DEBUG=1``, its
traceback follows. Whatever loads torch is imported inside the commands, so that ``-h`` answers at once.
"""

from .main import main

__all__ = ["main"]

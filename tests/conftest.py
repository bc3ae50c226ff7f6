"""For all tests: those of an interrupt need one that arrives."""

import signal
import threading

# A shell's background jobs ignore interrupts, and so would every process that a test starts.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

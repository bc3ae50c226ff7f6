"""``cluster_executor``: the workers of a Dask cluster as an executor."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import Executor

log = logging.getLogger(__name__)


@contextlib.contextmanager
def cluster_executor(address: str | None, seconds: float = 5.0) -> Iterator[Executor | None]:
    """An executor of the workers of the Dask scheduler at ``address``; None without an address.

    Dask does a piece again whose worker died, up to its own limit (``distributed.scheduler.allowed-failures``); one
    that fails is not repeated. Workers need the same files, one thread each (``--nthreads 1``), and the same code:
    they keep what they have imported, so a change of it needs new workers.

    Args:
        address: such as "tcp://localhost:8786".
        seconds: to wait for the scheduler.

    Raises:
        ImportError: without the package ``distributed``.
        OSError: if no scheduler answers at the address.
    """
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(f"a cluster needs Dask ({error}): pip install pyg-neuralops[cluster]") from None
    try:
        client = Client(address, timeout=seconds, set_as_default=False)
    except (OSError, ValueError) as error:  # the second: not of an address's form
        raise OSError(f"no Dask scheduler answers at {address} within {seconds:g} s: {error}") from None
    with client:
        if not client.scheduler_info()["workers"]:
            log.warning("the cluster at %s has no workers yet; waiting for some", address)
        # Two runs of one name are two: what is done is known from its files, not from Dask's keys.
        yield client.get_executor(pure=False, retries=0)

"""Threads for calls that wait: some of their own for what partners send, so that orders never take the last one."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Final, TypeVar

_T = TypeVar("_T")

ORDERS: Final = ThreadPoolExecutor(8, thread_name_prefix="orders")
"""For balances, and for batches that take long to read."""

PARTNERS: Final = ThreadPoolExecutor(16, thread_name_prefix="partners")


async def on_thread(threads: ThreadPoolExecutor, call: Callable[[], _T]) -> _T:
    """Return what `call` returns on one of `threads`; what it logs names the request."""
    return await asyncio.get_running_loop().run_in_executor(threads, partial(copy_context().run, call))

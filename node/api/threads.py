"""Threads of their own for the quick way: routes that wait for something on the common ones hold up no balance."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Final, TypeVar

_T = TypeVar("_T")

_THREADS: Final = ThreadPoolExecutor(8, thread_name_prefix="quick")


async def on_thread(call: Callable[[], _T]) -> _T:
    """Return what `call` returns on another thread; what it logs names the request."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(copy_context().run, call))

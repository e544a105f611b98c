"""What a family of the ledger's rows is: a name, and the type of its records."""

from dataclasses import dataclass
from typing import Generic, TypeVar

_K = TypeVar("_K")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True, eq=False)
class Table(Generic[_K, _R]):
    """A family of rows: `Table[key, record]`, named as the store names it."""

    name: str
    record: type[_R]

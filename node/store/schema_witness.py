"""The operational tables of witnessing: what was cosigned last of each log, what of our own was published last, and how
far the logs of partners are proved to be one.

They are cursors: a row is replaced by the next one, and each note carries the signatures that show what it is worth.
"""

from typing import Final

from node.store.columns import TableClass, binary, integer, key, table, text

WITNESSED: Final = table("witnessed", TableClass.OPERATIONAL, key("origin"), integer("size"), binary("note"))
PUBLISHED: Final = table("published", TableClass.OPERATIONAL, key("origin"), integer("size"), binary("note"))
PROVED: Final = table(
    "proved",
    TableClass.OPERATIONAL,
    key("origin"),
    integer("next_number"),
    integer("size"),
    binary("note"),
    text("proved_at"),
    text("fault", null=True),
)

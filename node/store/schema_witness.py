"""The operational tables of witnessing: what was cosigned last of each log, and what of our own was published last.

They are cursors: a row is replaced by the next one, and each note carries the signatures that show what it is worth.
"""

from typing import Final

from node.store.columns import TableClass, binary, integer, key, table

WITNESSED: Final = table("witnessed", TableClass.OPERATIONAL, key("origin"), integer("size"), binary("note"))
PUBLISHED: Final = table("published", TableClass.OPERATIONAL, key("origin"), integer("size"), binary("note"))

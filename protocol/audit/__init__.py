"""Everything by which an outsider checks: one log replayed, two logs matched, a piece of evidence judged.

Pure like the rest of the library: bytes come in through a `Source` or as an argument (specs/audit.md).
"""

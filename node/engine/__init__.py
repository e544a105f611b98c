"""The single writer: takes what is waiting, decides, applies, seals and commits it in one durable transaction."""

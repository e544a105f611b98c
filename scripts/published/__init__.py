"""The vectors in specs/vectors: what each format accepts and refuses, written from the code and held against it."""

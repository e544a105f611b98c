"""The rules of the ledger: `decide` proposes entries, `apply` judges them, the same in a node and in an audit."""

"""The Fisher information matrix and its spectrum."""

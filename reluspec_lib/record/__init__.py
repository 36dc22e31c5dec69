"""The record: what a notebook stores of a ledger, and reading it back."""

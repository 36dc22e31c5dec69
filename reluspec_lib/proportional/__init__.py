"""Spectra of random features whose dimensions grow in proportion."""

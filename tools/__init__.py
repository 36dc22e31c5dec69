"""What builds, runs and verifies the book. Nothing here is imported by the notebooks."""

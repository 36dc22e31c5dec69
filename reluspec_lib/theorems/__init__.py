"""What the theorems rest on beyond the core: rigorous enclosures of their constants."""

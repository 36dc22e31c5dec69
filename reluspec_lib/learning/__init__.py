"""What a network learns, and in which order."""

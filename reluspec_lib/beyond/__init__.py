"""Other activations, deeper networks, other laws of the inputs, and data."""

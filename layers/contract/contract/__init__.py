"""What the gateway and the processor agree on. Standard library only: both functions load it."""

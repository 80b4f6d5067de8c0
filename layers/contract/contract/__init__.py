"""What the gateway and the processor say to each other. It needs the standard library and the core's types only."""

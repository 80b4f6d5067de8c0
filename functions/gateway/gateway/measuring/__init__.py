"""What a request asks for: a measurement from the cache or the processor, and forms for direct uploads."""

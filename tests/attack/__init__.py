"""`make attack`: damaged files, what other decoders say of them, and what the measurement makes of them."""

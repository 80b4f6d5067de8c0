"""Measures images: untrusted bytes in, one number that can be trusted or a problem out."""

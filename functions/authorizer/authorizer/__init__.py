"""Decides whether a token is valid: a JWT of one OIDC issuer, for this service."""

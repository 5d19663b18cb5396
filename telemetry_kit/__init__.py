"""Analysis of incident-response telemetry."""

from telemetry_kit import errors, schemas

__all__ = ["errors", "schemas"]

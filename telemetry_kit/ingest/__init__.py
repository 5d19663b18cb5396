"""Bytes -> valid rows and rejected records: what a source is, which format it has, and what makes a record valid."""

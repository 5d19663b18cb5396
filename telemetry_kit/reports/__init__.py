"""Notebooks and parameters -> a directory of HTML pages, tables, figures, the quarantine and a manifest."""

from telemetry_kit.reports.writing import write_quarantine, write_report

__all__ = ["write_quarantine", "write_report"]

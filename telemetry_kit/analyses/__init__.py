"""Valid frames -> tidy tables: one folder per question."""

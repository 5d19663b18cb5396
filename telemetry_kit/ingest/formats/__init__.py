"""One module per format: its bytes or cells in, rows of text out."""

"""What is fast, what is small, and how to measure it again: ratios against named peers in the same run."""

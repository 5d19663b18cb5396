"""``python -m telemetry_kit`` is the command ``telemetry-kit``, for where scripts are not on the path."""

import signal
import sys

INTERRUPTED = 128 + signal.SIGINT


def run() -> int:
    """Run the command; who interrupts it while it is still being loaded gets one line as well."""
    try:
        from telemetry_kit.cli import main

        return main()
    except KeyboardInterrupt:
        sys.stderr.write("telemetry-kit: interrupted\n")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(run())

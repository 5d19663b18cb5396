"""``python -m telemetry_kit`` is the command ``telemetry-kit``, for where scripts are not on the path."""

import sys

from telemetry_kit.cli import main

sys.exit(main())

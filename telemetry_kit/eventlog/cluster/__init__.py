"""Raw files of any container -> an ``EventLog`` of Spark frames: every worker reads its part with the one reader."""

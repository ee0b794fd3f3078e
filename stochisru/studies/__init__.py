"""Studies of a case: sensitivity, efficiency frontier, tuning of rules; remembered on disk, resumable, parallel."""

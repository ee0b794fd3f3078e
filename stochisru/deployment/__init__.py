"""The deployment problem: operations, information structure, and its models."""

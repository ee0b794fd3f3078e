"""The study that the project began with: how to deploy oxygen plants over 10, 30 and 50 years."""

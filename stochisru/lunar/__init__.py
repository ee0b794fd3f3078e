"""The shipped problem: how much lunar oxygen plant to deploy, and when."""

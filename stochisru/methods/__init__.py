"""Solution methods; each returns a `stochisru.methods.result.Result`."""

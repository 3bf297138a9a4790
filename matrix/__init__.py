"""The host's side: what to run (config, plan), where (engines), and the record of it (store, runner)."""

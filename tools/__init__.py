"""Programs that a developer runs; nothing here is installed."""

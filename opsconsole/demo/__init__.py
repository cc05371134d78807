"""The demonstration: embedded servers, a made-up company with its indexer, and the command that runs it all."""

"""Work in the background: how nouns declare it (`job`), and how a process does it (`process_jobs`)."""

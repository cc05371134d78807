"""What RQ has in Redis, beside what the console's rows say: read without changing it, compared, and shown."""

"""No credential gets out, and no part of the program has more rights than it needs."""

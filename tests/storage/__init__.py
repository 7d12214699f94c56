"""The two object stores: one behavioural suite for both, and what is special to each."""

"""What the line costs and what it delivers, measured on real music by independent means."""

"""The dashboard's rows, a module each, in the order in which one looks at them."""

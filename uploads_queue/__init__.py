"""The rooms behind ``database_manager``: the table, its clock, its connection, its errors.

Nothing outside ``database_manager`` and ``migrations`` imports from here.
"""

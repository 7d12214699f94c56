"""Alembic's entry: runs the steps on the connection that ``migrations`` hands over."""

from __future__ import annotations

from alembic import context

from uploads_queue.schema import VERSION_TABLE, uploads

connection = context.config.attributes["connection"]
dialect = connection.dialect.name
context.configure(
    connection=connection,
    target_metadata=uploads(dialect).metadata,
    version_table=VERSION_TABLE,
    # SQLite: one transaction is the lock, and DDL rolls back in it, which Alembic has to be told.
    # PostgreSQL: a step a transaction, so that one step can leave it to build indexes concurrently.
    transaction_per_migration=dialect != "sqlite",
    transactional_ddl=True if dialect == "sqlite" else None,
)
with context.begin_transaction():
    context.run_migrations()

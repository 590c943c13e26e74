"""Everything written in SQL, and the two ways to use it: statements by name, and migrations.

`queries/<noun>.sql` holds the statements of one noun; `load_queries` reads them. `migrations/NNNN_what.sql`
holds the schema's history; `migrate` applies what a database lacks.
"""

from sql.connection import Connection
from sql.loader import Queries, QueryFileError, UnknownNounError, UnknownStatementError, load_queries
from sql.migration_errors import MigrationError
from sql.runner import beside, migrate

__all__ = [
    "Connection",
    "MigrationError",
    "Queries",
    "QueryFileError",
    "UnknownNounError",
    "UnknownStatementError",
    "beside",
    "load_queries",
    "migrate",
]

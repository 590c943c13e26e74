"""Everything written in SQL, and the two ways to use it: statements by name, and migrations.

Statements lie in files beside the modules that use them; `load_queries` reads them. Files
`migrations/NNNN_what.sql` hold the schema's history; `migrate` applies what a database lacks.
"""

from sql.connection import Connection
from sql.loader import Queries, QueryFileError, UnknownQueryFileError, UnknownStatementError, load_queries
from sql.migration_errors import MigrationError
from sql.runner import beside, migrate

__all__ = [
    "Connection",
    "MigrationError",
    "Queries",
    "QueryFileError",
    "UnknownQueryFileError",
    "UnknownStatementError",
    "beside",
    "load_queries",
    "migrate",
]

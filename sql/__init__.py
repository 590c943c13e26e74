"""Everything written in SQL, and the two ways to use it: statements by name, and the schema.

Statements lie in files beside the modules that use them; `load_queries` reads them. Files
`migrations/NNNN_what.sql` make tables, files `definitions/<noun>.sql` functions and views; `migrate` applies
what a database lacks.
"""

from sql.connection import Connection
from sql.loader import Queries, QueryFileError, UnknownQueryFileError, UnknownStatementError, load_queries
from sql.migration_errors import DatabaseUnreleasedError, MigrationError
from sql.runner import beside, migrate

__all__ = [
    "Connection",
    "DatabaseUnreleasedError",
    "MigrationError",
    "Queries",
    "QueryFileError",
    "UnknownQueryFileError",
    "UnknownStatementError",
    "beside",
    "load_queries",
    "migrate",
]

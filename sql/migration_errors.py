"""Reasons not to migrate.

MigrationError
├── MigrationFileError          the files themselves are wrong: name, number, marking, encoding
├── MigrationChangedError       an applied file was edited afterwards
├── DefinitionChangedError      an applied definition was edited and kept its version
├── DatabaseUnreleasedError     the database was made before the first release
├── MigrationOutOfOrderError    an unapplied file is numbered below an applied one
├── DatabaseNewerError          the database has migrations this version cannot run beside
├── DatabaseUnreachableError    no connection within the deadline
├── MigrationBusyError          another process kept the turn for too long
└── MigrationFailedError        Postgres refused a file, or a limit ran out
"""


class MigrationError(Exception):
    """Base of every reason not to migrate; its text is one line for the operator."""


class MigrationFileError(MigrationError):
    """A migration's file cannot be used; `file` names it."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file


class MigrationChangedError(MigrationError):
    """The file of an applied migration was edited; `file` names it."""

    def __init__(self, file: str) -> None:
        super().__init__(
            f"{file} was edited after it was applied; restore it and add a new migration instead"
        )
        self.file = file


class DefinitionChangedError(MigrationError):
    """The text of an applied definition was edited and its version stayed; `file` names it."""

    def __init__(self, file: str, version: int) -> None:
        super().__init__(
            f"{file} differs from version {version} of it, which is applied; give it a higher version"
        )
        self.file = file


class DatabaseUnreleasedError(MigrationError):
    """The database has the migrations of a time before the first release, which no version goes on with."""

    def __init__(self) -> None:
        super().__init__(
            "the database was made by a version before the first release, and no later one can go on with it;"
            " begin with a new data directory, or with an empty database"
        )


class MigrationOutOfOrderError(MigrationError):
    """`file` is new but numbered below `newest`, which the database already has."""

    def __init__(self, file: str, newest: str) -> None:
        super().__init__(f"{file} comes before {newest}, which is already applied; give it a higher number")
        self.file = file
        self.newest = newest


class DatabaseNewerError(MigrationError):
    """The database has migrations this version can neither know nor run beside; `names` lists them."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(
            f"the database has migrations this version cannot run beside: {', '.join(names)};"
            " use a newer version"
        )
        self.names = names


class DatabaseUnreachableError(MigrationError):
    """No connection could be made; the text names the server, never the password."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"cannot connect to the database at {server}: {reason}")
        self.server = server


class MigrationBusyError(MigrationError):
    """Another process held the turn for longer than `waited_s`."""

    def __init__(self, waited_s: float) -> None:
        super().__init__(f"another process has been migrating this database for over {waited_s:g} s")
        self.waited_s = waited_s


class MigrationFailedError(MigrationError):
    """Postgres did not apply `file`."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file

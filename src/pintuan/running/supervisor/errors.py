"""The errors that can end a supervisor; the tree is drawn in the package's docstring."""


class SupervisorError(Exception):
    """The marketplace cannot start or go on; the text is for the operator."""


class ListenError(SupervisorError):
    """The address cannot be listened on."""


class NotReadyError(SupervisorError):
    """The API did not get ready in time."""


class CrashLoopError(SupervisorError):
    """A process died too often; the text ends with the last lines of its log, when it has one."""

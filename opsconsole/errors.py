"""The errors an operator can meet. Each message is one sentence: what was wrong, where, and what is allowed."""


class ConsoleError(Exception):
    """Base of everything the console says on purpose. Anything else that escapes is a defect."""

    exit_status = 1


class UsageError(ConsoleError):
    """The request itself cannot be carried out as given. Exit status 2; on a page, the field's own message."""

    exit_status = 2


class UnavailableError(ConsoleError):
    """An outside system did not answer as needed. Exit status 1; worth trying again later."""


class OutsideDataError(ConsoleError):
    """An outside system answered with something that cannot be right. Trying again will not help."""

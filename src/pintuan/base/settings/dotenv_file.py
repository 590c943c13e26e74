"""The file `.env`, which supplies what the environment does not."""

from __future__ import annotations

import io
from pathlib import Path


def read_dotenv(path: Path) -> dict[str, str]:
    """Returns what the file sets, nothing when there is none; raises ValueError with a reason."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read: {error}") from error
    # Imported here because most commands of most installations have no such file.
    from dotenv.parser import parse_stream

    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            raise ValueError(f"line {binding.original.line} is not NAME=value")
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values

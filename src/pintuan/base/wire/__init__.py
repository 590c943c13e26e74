"""Values as they go over the wire: money, times, pages, cursors, patterns."""

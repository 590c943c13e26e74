"""Product feeds of other systems, imported into the catalogue."""

"""How people come: invitations, nudges, pages, previews."""

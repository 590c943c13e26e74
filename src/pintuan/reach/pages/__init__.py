"""The page behind a shared link, `/g/{share_code}`: rendered here, complete without JavaScript."""

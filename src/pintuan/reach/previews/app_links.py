"""Which apps open a shared link in place of the browser.

Sources: Apple, "Supporting associated domains" (`applinks`); Google, "Digital Asset Links" (statement lists).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pintuan.base.settings.settings import Settings


def apple_links(settings: Settings) -> dict[str, Any] | None:
    """Returns the association file for the apps of `PINTUAN_APPLE_APP_IDS`, or None without any."""
    if not settings.apple_app_ids:
        return None
    details = {"appIDs": list(settings.apple_app_ids), "components": [{"/": "/g/*"}]}
    return {"applinks": {"details": [details]}}


def google_links(settings: Settings) -> list[dict[str, Any]] | None:
    """Returns the statement list for the apps of `PINTUAN_ANDROID_APPS`, or None without any."""
    if not settings.android_apps:
        return None
    return [
        {
            "relation": ["delegate_permission/common.handle_all_urls"],
            "target": {
                "namespace": "android_app",
                "package_name": package,
                "sha256_cert_fingerprints": [fingerprint],
            },
        }
        for package, _, fingerprint in (app.partition("=") for app in settings.android_apps)
    ]

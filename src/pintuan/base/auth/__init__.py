"""The caller of a request: access tokens, the middleware that reads them and the guards that ask
for a role.
"""

from pintuan.base.auth.guards import SELLERS, admits_api_keys, check_role, refuse_api_key, requires_role
from pintuan.base.auth.principal import Principal, Role

__all__ = ["SELLERS", "Principal", "Role", "admits_api_keys", "check_role", "refuse_api_key", "requires_role"]

"""The length an address may have."""

from typing import Final

# RFC 5321 section 4.5.3.1.3: a path of 256 octets has two for its brackets.
EMAIL_LENGTH_MAX: Final = 254
# An E.164 number has 15 digits; people write them with spaces and brackets.
PHONE_LENGTH_MAX: Final = 40

"""Every bound of the protocol, with its unit in the name. A node may be stricter, never laxer."""

from typing import Final

INTEGER_MAX: Final = 2**53 - 1
"""Largest magnitude of an integer in JSON (RFC 8785 §3.2.2.3, RFC 7493 §2.2)."""

ENTRY_BYTES_MAX: Final = 65_535
"""An entry bundle gives each entry a 16-bit length (C2SP tlog-tiles)."""

BODY_BYTES_MAX: Final = 65_535
RETURNED_BYTES_MAX: Final = 262_144
"""A body that is given back, with the envelope that proves it."""

DOCUMENT_BYTES_MAX: Final = 1_048_576
NESTING_DEPTH_MAX: Final = 16
NOTE_BYTES_MAX: Final = 65_536
NOTE_SIGNATURES_MAX: Final = 100
NAME_CHARACTERS_MAX: Final = 128
TEXT_CHARACTERS_MAX: Final = 1_000
ENVELOPE_FRAMES_MAX: Final = 256
ENVELOPE_BYTES_MAX: Final = 131_072
PARCEL_BYTES_MAX: Final = 4_194_304
ADD_CHECKPOINT_HASHES_MAX: Final = 63
"""A request to a witness proves consistency by this many hashes (C2SP tlog-witness)."""

ADD_CHECKPOINT_BYTES_MAX: Final = 69_632
POLICY_BYTES_MAX: Final = 262_144
POLICY_ITEMS_MAX: Final = 256
EXPIRED_LOTS_MAX: Final = 512
POSTINGS_MAX: Final = 64
PROOF_HASHES_MAX: Final = 64
RECEIPT_BYTES_MAX: Final = 163_840
RETURNED_POINTS_DAYS: Final = 14
"""How long points can be spent that come back after their last day."""

TILE_WIDTH: Final = 256
TILE_LEVEL_MAX: Final = 63
LOG_SIZE_MAX: Final = 2**53 - 1
AGREEMENT_PROMOTIONS_MAX: Final = 16
CURRENCIES_MAX: Final = 16
CURRENCY_UNIT_MILLIONTHS: Final = 1_000_000
CLOCK_SKEW_SECONDS_MAX: Final = 300
ACCEPT_BY_SECONDS_MAX: Final = 7 * 86_400

"""What an admin may change in the portal while Earmark runs."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from app.domain.retention import Retention


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """The values in force. Each one that no admin has set has the default of the settings."""

    review_threshold: Annotated[float, Meta(ge=0, le=1, description="Top-1 probability below which a person reviews")]
    upload_limit_bytes: Annotated[int, Meta(ge=1_000, le=10_000_000_000, description="Largest accepted file in bytes")]
    organisation: Annotated[str, Meta(max_length=120, description="Name of the organisation, shown on every page")] = ""
    footer: Annotated[str, Meta(max_length=300, description="Notice at the foot of every page")] = ""
    reviews_per_item: Annotated[int, Meta(ge=1, le=3, description="Independent reviews before an item is decided")] = 1
    spot_check_share: Annotated[float, Meta(ge=0, le=1, description="Share of certain results to review anyway")] = 0.0
    retention: Annotated[Retention, Meta(description="How long things are kept")] = Retention()
